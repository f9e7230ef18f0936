export { CONFIG_EXTENSIONS, type FindConfigOptions, findConfig } from './config/find.ts'
export type { Isolation, IsolationMode } from './config/isolation.ts'
export { type LoadConfigOptions, type LoadedConfig, loadConfig } from './config/load.ts'
export { type Config, type Deadlines, defineConfig, type ProgramConfig } from './config/parse.ts'
export type { PodwireConfig } from './config/schema.ts'
export { currentOperation, type PluginOperation } from './current-operation.ts'
export type { HostEmitter, HostEvents, HostListener } from './events.ts'
export {
  createNetworkHost,
  type LocalNetworkHost,
  type NetworkHost,
  type NetworkHostOptions,
  type Readiness,
} from './host.ts'
export type { DiscoveryPlaces, Installation } from './plugins/candidates.ts'
export { type CatalogOptions, createPluginCatalog, type PluginCatalog } from './plugins/catalog.ts'
export { type Discovery, discoverPlugins, type RejectedPackage } from './plugins/discover.ts'
export { initNetworkPlugin } from './plugins/init-network-plugin.ts'
export { loadPlugin } from './plugins/load-plugin.ts'
export { type PluginPackage, parsePluginPackage } from './plugins/manifest.ts'
export { createPluginManager, type PluginManager } from './plugins/plugin-manager.ts'
export { optionsJsonSchema } from './plugins/plugin-options.ts'
export type { ActivePlugin, PluginStart, RunningPlugin } from './plugins/start-plugin.ts'
export { validateConfiguration } from './plugins/validate.ts'
export { policyFromFile } from './policy/file.ts'
export type { OperationOptions } from './sandboxes/context.ts'
export { inSandbox, sandboxProcesses } from './sandboxes/enter.ts'
export type { PruneResult, RepairResult } from './sandboxes/maintain.ts'
export type { NetnsIdentity } from './sandboxes/netns.ts'
export type { CniAttachment, PodName, PodRequest } from './sandboxes/pod-request.ts'
export type { ProcessIdentity, SandboxPhase, SandboxRecord } from './sandboxes/record.ts'
export { lockStateDir, stateDirHolder } from './sandboxes/state-lock.ts'
export { createSandboxStore, type SandboxStore, type UnreadableRecord } from './sandboxes/store.ts'
export type { TearDownOptions } from './sandboxes/tear-down.ts'
