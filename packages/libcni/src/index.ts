export type { CacheContents, CorruptEntry } from './cache/cache.ts'
export type { CachedAttachment, EntryKey } from './cache/entry.ts'
export { type CNI, type CniOptions, createCni, type DelOptions } from './cni.ts'
export {
  type ConfigProblem,
  type LoadedNetwork,
  type LoadedNetworks,
  loadNetwork,
  loadNetworks,
  readNetworkFile,
} from './config/load.ts'
export {
  type Network,
  type NetworkConfig,
  type NetworkConfigList,
  type PluginConfig,
  parseNetworkConfig,
  parseNetworkConfigList,
  toNetworkConfigList,
} from './config/network-config.ts'
export { type NetworkWatch, type WatchOptions, watchNetworks } from './config/watch.ts'
export { CniCode, CniError, isCniError, type PluginFailure, pluginError } from './errors.ts'
export type { OperationOptions, TraceContext } from './invoke/deadline.ts'
export type { Attachment } from './invoke/environment.ts'
export { type FoundInterface, findInterface } from './invoke/find-interface.ts'
export { findPlugin } from './invoke/find-plugin.ts'
export type { PluginVersions } from './invoke/plugin-versions.ts'
export { isObject, type Json, type JsonObject } from './json.ts'
export { checkContainerId, checkInterfaceName, checkNetworkName } from './names.ts'
export type { AttachmentId } from './operations/gc.ts'
export * from './plugin/index.ts'
export { convertResult } from './result/convert.ts'
export { parseResult } from './result/parse.ts'
export type * from './result/result.ts'
export { type CniVersion, cniVersions, compareVersions, currentVersion } from './version.ts'
