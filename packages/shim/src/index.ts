export { CNI_DOOR, JOURNAL_ENTRY, SHIM_DEFAULTS } from './protocol.ts'
export { formatShimSettings, type ShimSettings, shimSettingsPath } from './settings-file.ts'
export { readShim, type Shim, shimPath } from './shim-path.ts'
