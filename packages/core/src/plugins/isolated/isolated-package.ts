import type { Host, InitOptions, NetworkPlugin } from '@podwire/api'
import { NET_PLUGIN_EVENT_POD_CIDR_CHANGE } from '@podwire/api'
import type { Deadlines } from '../../config/parse.ts'
import { errors } from '../../errors.ts'
import { assertPackageTrusted, type LoadContext } from '../load-package.ts'
import type { PluginPackage } from '../manifest.ts'
import { type OfferedPlugin, offeredPlugins } from './messages.ts'
import { type PluginProcess, type ProcessCallOptions, startPluginProcess } from './plugin-process.ts'
import { type CrashListener, type Supervisor, supervise } from './supervisor.ts'

/** A plugin package that runs in a process of its own. */
export interface IsolatedPackage {
  /** What it offers: the same contract as in the host's process. */
  readonly plugins: readonly NetworkPlugin[]
  /** From now on the process is started again when it crashes, with this plugin in it. */
  supervise(plugin: NetworkPlugin, listener: CrashListener): void
  /** Starts a plugin that was left down again; returns whether it was. */
  reset(): Promise<boolean>
  end(): Promise<void>
}

export interface IsolatedContext extends LoadContext {
  readonly deadlines: Pick<Deadlines, 'init' | 'event' | 'status'>
}

/** How a plugin was begun, so that its next process can be. */
interface Begun {
  readonly host: Host
  readonly options: InitOptions
  readonly podCIDR?: Readonly<Record<string, unknown>>
}

/**
 * Starts a process that imports a plugin package and asks it for its plugins.
 * @throws PodwireError those of loading it in this process; `PLUGIN_CRASHED`
 */
export async function loadIsolated(found: PluginPackage, context: IsolatedContext): Promise<IsolatedPackage> {
  const { deadlines, log } = context
  const capabilities = new Map<string, unknown>()
  let name = found.packageName
  let begun: Begun | undefined
  let supervisor: Supervisor | undefined

  const start = () =>
    startIsolated(found, context, {
      name: () => name,
      log,
      host: () => begun?.host,
      onCapabilities: (plugin, can) => void capabilities.set(plugin, can),
    })
  const { process: first, offered } = await start()
  for (const plugin of offered) capabilities.set(plugin.name, plugin.capabilities)

  const running = async () => (supervisor ? supervisor.current() : first)
  const init = (process: PluginProcess, plugin: string, { host, options }: Begun) =>
    process.call('init', [plugin, { ...options }, host.supportsLegacyFeatures()], { limitMs: deadlines.init })
  const tellEvent = (process: PluginProcess, plugin: string, event: string, details: object) =>
    process.call('event', [plugin, event, details], { limitMs: deadlines.event })

  const proxyOf = ({ name: plugin, methods }: OfferedPlugin): NetworkPlugin => {
    const call = async (method: string, args: readonly unknown[], options: ProcessCallOptions = {}) =>
      (await running()).call(method, [plugin, ...args], options)
    return {
      name: plugin,
      async init(host, options) {
        name = plugin
        begun = { host, options }
        await init(await running(), plugin, begun)
      },
      async event(event, details) {
        await tellEvent(await running(), plugin, event, details)
        if (begun && event === NET_PLUGIN_EVENT_POD_CIDR_CHANGE) begun = { ...begun, podCIDR: details }
      },
      // The manager checks it, as it does what a plugin in this process returns.
      capabilities: () => capabilities.get(plugin) as number,
      // So it does with what these resolve with.
      setUpPod: (pod, signal) => call('setUpPod', [pod], { signal }) as ReturnType<NetworkPlugin['setUpPod']>,
      getPodNetworkStatus: (pod, signal) =>
        call('getPodNetworkStatus', [pod], { signal }) as ReturnType<NetworkPlugin['getPodNetworkStatus']>,
      tearDownPod: async (pod, signal) => void (await call('tearDownPod', [pod], { signal })),
      status: async () => void (await call('status', [], { limitMs: deadlines.status })),
      ...(methods.includes('checkPod')
        ? { checkPod: async (pod, signal) => void (await call('checkPod', [pod], { signal })) }
        : {}),
      ...(methods.includes('collectGarbage')
        ? { collectGarbage: async (ids, signal) => void (await call('collectGarbage', [ids], { signal })) }
        : {}),
      close: () => end(methods.includes('close') ? plugin : undefined),
    }
  }

  const launch = async (): Promise<PluginProcess> => {
    const { process, offered: again } = await start()
    try {
      if (!begun) throw errors.PLUGIN_STOPPED({ plugin: name })
      if (!again.some((one) => one.name === name))
        throw errors.PLUGIN_NOT_FOUND({ name, available: again.map((one) => one.name) })
      for (const plugin of again) capabilities.set(plugin.name, plugin.capabilities)
      await init(process, name, begun)
      if (begun.podCIDR) await tellEvent(process, name, NET_PLUGIN_EVENT_POD_CIDR_CHANGE, begun.podCIDR)
      return process
    } catch (error) {
      await process.stop()
      throw error
    }
  }

  const end = async (closing?: string) => {
    const close = async (process: PluginProcess) => {
      if (closing) await process.call('close', [closing], { limitMs: deadlines.event })
    }
    if (supervisor) return supervisor.stop(close)
    try {
      await close(first)
    } finally {
      await first.stop()
    }
  }

  return {
    plugins: offered.map(proxyOf),
    supervise(plugin, listener) {
      supervisor = supervise(plugin.name, first, launch, listener)
    },
    reset: async () => supervisor?.reset() ?? false,
    end: () => end(),
  }
}

/**
 * Imports a package in a process of its own and has it look at its options, and nothing else.
 * @throws PodwireError as `loadIsolated`
 */
export async function checkIsolated(found: PluginPackage, context: LoadContext): Promise<void> {
  const { process } = await startIsolated(
    found,
    context,
    {
      name: () => found.packageName,
      log: context.log,
      host: () => undefined,
      onCapabilities() {},
    },
    'check',
  )
  await process.stop()
}

async function startIsolated(
  found: PluginPackage,
  { options, configDir, stateDir, deadlineMs, trust }: LoadContext,
  processOptions: Parameters<typeof startPluginProcess>[0],
  order: 'load' | 'check' = 'load',
): Promise<{ process: PluginProcess; offered: readonly OfferedPlugin[] }> {
  assertPackageTrusted(found, trust)
  const process = startPluginProcess(processOptions)
  const given = { found, options, configDir, stateDir, deadlineMs }
  try {
    // Import and probe have a deadline each, in there; a module that blocks the event loop has this one.
    const answer = await process.call(order, [given], { limitMs: 2 * deadlineMs + startMs })
    return { process, offered: offeredPlugins().parse(answer) }
  } catch (error) {
    await process.stop()
    throw error
  }
}

/** What Node itself may take to start on a busy machine. Milliseconds. */
const startMs = 10_000
