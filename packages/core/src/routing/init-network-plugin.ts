import {
  type Host,
  type InitOptions,
  type Logger,
  messageOf,
  type NetworkPlugin,
  qualifiedNameProblems,
} from '@podwire/api'
import {
  alreadyInitialised,
  duplicatePluginName,
  initialisationFailed,
  invalidPluginName,
  pluginNotFound,
} from '../errors.ts'
import { silentLogger } from '../log.ts'
import { withDeadline } from './deadline.ts'

// A plugin is initialised once in its life, whoever asks.
const initialised = new WeakSet<NetworkPlugin>()

/**
 * Chooses the plugin called `name` and initialises it; an empty name means the no-op plugin.
 * Source: the kubelet's `network.InitNetworkPlugin`.
 * @param settings.deadlineMs how long `init` may take
 * @throws AggregateError of all that is wrong with the plugins given: bad and duplicate names, the chosen one not
 *   among them, its `init` failed
 */
export async function initNetworkPlugin(
  plugins: readonly NetworkPlugin[],
  name: string,
  host: Host,
  options: InitOptions,
  { deadlineMs = 30_000, log = silentLogger }: { deadlineMs?: number; log?: Logger } = {},
): Promise<NetworkPlugin> {
  if (name === '') return initOne(await noopPlugin(log), host, options, deadlineMs)
  const { byName, errors } = register(plugins)
  const chosen = byName.get(name)
  if (chosen) {
    await initOne(chosen, host, options, deadlineMs).catch((error: unknown) => errors.push(error))
  } else {
    errors.push(pluginNotFound({ name, available: [...byName.keys()] }))
  }
  if (chosen && errors.length === 0) return chosen
  throw new AggregateError(errors, errors.map(messageOf).join('\n'))
}

function register(plugins: readonly NetworkPlugin[]) {
  const byName = new Map<string, NetworkPlugin>()
  const errors: unknown[] = []
  for (const plugin of plugins) {
    const problems = qualifiedNameProblems(plugin.name)
    if (problems.length > 0) errors.push(invalidPluginName({ name: plugin.name, problems }))
    else if (byName.has(plugin.name)) errors.push(duplicatePluginName({ name: plugin.name }))
    else byName.set(plugin.name, plugin)
  }
  return { byName, errors }
}

async function initOne(
  plugin: NetworkPlugin,
  host: Host,
  options: InitOptions,
  deadlineMs: number,
): Promise<NetworkPlugin> {
  if (initialised.has(plugin)) throw alreadyInitialised({ name: plugin.name })
  initialised.add(plugin)
  try {
    await withDeadline(`init of network plugin "${plugin.name}"`, deadlineMs, () =>
      plugin.init(host, options),
    )
  } catch (cause) {
    throw initialisationFailed({ name: plugin.name, cause })
  }
  return plugin
}

async function noopPlugin(log: Logger): Promise<NetworkPlugin> {
  const { noopNetworkPlugin } = await import('@podwire/plugin-noop')
  return noopNetworkPlugin(log)
}
