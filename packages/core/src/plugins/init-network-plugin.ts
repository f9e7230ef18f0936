import {
  DEFAULT_PLUGIN_NAME,
  type Host,
  type InitOptions,
  messageOf,
  type NetworkPlugin,
  qualifiedNameProblems,
} from '@podwire/api'
import { runOperation } from '../current-operation.ts'
import { withDeadline } from '../deadline.ts'
import { errors } from '../errors.ts'

// A plugin is initialised once in its life, whoever asks.
const initialised = new WeakSet<NetworkPlugin>()

interface InitSettings {
  /** How long `init` may take, in milliseconds. Default: 30,000. */
  readonly deadlineMs?: number
  /** Names of plugins besides those given, for the error when the chosen one is not found. */
  readonly available?: readonly string[]
}

/**
 * Chooses the plugin called `name` and initialises it; an empty name means the no-op plugin, which is among those
 * given like any other. Source: the kubelet's `network.InitNetworkPlugin`.
 * @throws AggregateError of all that is wrong with the plugins given: bad and duplicate names, the chosen one not
 *   among them, its `init` failed
 */
export async function initNetworkPlugin(
  plugins: readonly NetworkPlugin[],
  name: string,
  host: Host,
  options: InitOptions,
  { deadlineMs = 30_000, available = [] }: InitSettings = {},
): Promise<NetworkPlugin> {
  const wanted = name || DEFAULT_PLUGIN_NAME
  const { byName, problems } = register(plugins)
  const chosen = byName.get(wanted)
  if (chosen) {
    await initOne(chosen, host, options, deadlineMs).catch((error: unknown) => problems.push(error))
  } else {
    const names = [...new Set([...byName.keys(), ...available])]
    problems.push(errors.PLUGIN_NOT_FOUND({ name: wanted, available: names }))
  }
  if (chosen && problems.length === 0) return chosen
  throw new AggregateError(problems, problems.map(messageOf).join('\n'))
}

function register(plugins: readonly NetworkPlugin[]) {
  const byName = new Map<string, NetworkPlugin>()
  const problems: unknown[] = []
  for (const plugin of plugins) {
    const { name } = plugin
    const wrong = qualifiedNameProblems(name)
    if (wrong.length > 0) problems.push(errors.INVALID_PLUGIN_NAME({ name, problems: wrong }))
    else if (byName.has(name)) problems.push(errors.DUPLICATE_PLUGIN_NAME({ name }))
    else byName.set(name, plugin)
  }
  return { byName, problems }
}

async function initOne(
  plugin: NetworkPlugin,
  host: Host,
  options: InitOptions,
  deadlineMs: number,
): Promise<NetworkPlugin> {
  if (initialised.has(plugin)) throw errors.PLUGIN_ALREADY_INITIALISED({ name: plugin.name })
  initialised.add(plugin)
  try {
    await runOperation({ plugin: plugin.name, operation: 'init' }, () =>
      withDeadline(`init of network plugin "${plugin.name}"`, deadlineMs, () => plugin.init(host, options)),
    )
  } catch (cause) {
    throw errors.PLUGIN_INIT_FAILED({ name: plugin.name }, cause)
  }
  return plugin
}
