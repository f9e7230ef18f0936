import type { Logger } from './logger.ts'
import type { NetworkPlugin } from './plugin.ts'
import type { StandardSchema } from './standard-schema.ts'

/** What a plugin package gets when the host asks it for its plugins. */
export interface ProbeContext<Options = unknown> {
  /** The config's `plugins[KEY]`, as the package's schema returned it. */
  readonly options: Options
  /** The directory of the config file, to resolve relative paths in options; undefined without a file. */
  readonly configDir: string | undefined
  /** A directory of the package's own, below the host's state directory; made by the plugin when it needs it. Gone after a reboot. */
  readonly stateDir: string
  readonly log: Logger
}

/** The default export of a plugin package. */
export interface PluginModule<Options = unknown> {
  readonly apiVersion: 1
  /** Validates the config's `plugins[KEY]`; without it the package takes no options. */
  readonly options?: StandardSchema<Options>
  /** The network plugins this package offers. Source: the kubelet's `ProbeNetworkPlugins`. */
  probe(context: ProbeContext<Options>): NetworkPlugin[] | Promise<NetworkPlugin[]>
}

/** Types a plugin package's default export: `export default definePlugin({ apiVersion: 1, probe: () => [myPlugin()] })`. */
export function definePlugin<Options = undefined>(module: PluginModule<Options>): PluginModule<Options> {
  return module
}
