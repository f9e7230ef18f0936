// The program of an isolated plugin's process: imports the package and does what its host, at the other end of file
// descriptor 3, asks of it. It ends when the host does.
import { Socket } from 'node:net'
import type { Host, Logger, NetworkPlugin, Pod } from '@podwire/api'
import { endWithParent, limitMemory } from '@podwire/netlink/process'
import { checkPluginPackage, loadPluginPackage } from '../load-package.ts'
import type { PluginPackage } from '../manifest.ts'
import { loadOrder, type OfferedPlugin, optionalMethods, pluginCalls } from './messages.ts'
import { createPeer } from './peer.ts'
import { plainFields } from './wire-error.ts'

// Beside the heap there are buffers, native code, and what V8 reserves for compiled code: half a GiB for each thread.
const memoryBytes = 4 * 1024 ** 3

// The kernel sees to it even where the plugin blocks the event loop, and where koffi can't be loaded, the socket does.
try {
  limitMemory(memoryBytes)
  endWithParent()
} catch {}

// What stops a service is sent to all its processes: the host says when this one is done.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})

const channel = new Socket({ fd: 3 })
channel.on('end', () => process.exit(0)).on('close', () => process.exit(0))

const plugins = new Map<string, NetworkPlugin>()
const told = new Map<string, unknown>()

const peer = createPeer(channel, {
  async handle(method, args, signal) {
    if (method === 'load') return load(args[0])
    if (method === 'check') return check(args[0])
    try {
      return await callPlugin(method, args, signal)
    } finally {
      mirrorCapabilities()
    }
  },
  told() {},
  broken(problem) {
    console.error(problem)
    process.exit(1)
  },
})

const level =
  (name: keyof Logger): Logger[keyof Logger] =>
  (message, details) =>
    peer.tell('log', {
      level: name,
      message: String(message),
      ...(details === undefined ? {} : { details: plainFields(details) }),
    })
const log: Logger = { debug: level('debug'), info: level('info'), warn: level('warn'), error: level('error') }

async function load(order: unknown): Promise<OfferedPlugin[]> {
  const offered = await loadPluginPackage(...orderOf(order))
  for (const plugin of offered) plugins.set(plugin.name, plugin)
  // Whatever changes them: a file that the plugin watches, too.
  setInterval(mirrorCapabilities, 1000).unref()
  return offered.map((plugin) => {
    told.set(plugin.name, capabilitiesOf(plugin))
    return {
      name: plugin.name,
      methods: optionalMethods.filter((method) => typeof plugin[method] === 'function'),
      capabilities: told.get(plugin.name),
    }
  })
}

async function check(order: unknown): Promise<OfferedPlugin[]> {
  await checkPluginPackage(...orderOf(order))
  return []
}

// The host has looked at who could have written the package.
function orderOf(order: unknown) {
  const { found, options, configDir, stateDir, deadlineMs } = loadOrder().parse(order)
  // It was made by the host, of the same package.json.
  const package_ = found as unknown as PluginPackage
  return [package_, { options, configDir, stateDir, deadlineMs, log, trust: 'included' }] as const
}

async function callPlugin(method: string, args: readonly unknown[], signal: AbortSignal): Promise<unknown> {
  const [name, ...given] = args
  const plugin = plugins.get(String(name))
  if (!plugin) throw new Error(`there is no plugin ${String(name)} in this process`)
  const calls = pluginCalls()
  // The host's own objects, by their contract.
  const pod = (parsed: readonly unknown[]) => parsed[0] as Pod
  if (method === 'init') {
    const [options, isLegacy] = calls.init.parse(given)
    return plugin.init(hostThere(isLegacy), options as unknown as Parameters<NetworkPlugin['init']>[1])
  }
  if (method === 'event') return plugin.event(...calls.event.parse(given))
  if (method === 'setUpPod') return plugin.setUpPod(pod(calls.setUpPod.parse(given)), signal)
  if (method === 'tearDownPod') return plugin.tearDownPod(pod(calls.tearDownPod.parse(given)), signal)
  if (method === 'getPodNetworkStatus')
    return plugin.getPodNetworkStatus(pod(calls.getPodNetworkStatus.parse(given)), signal)
  if (method === 'status') return plugin.status()
  if (method === 'checkPod') return plugin.checkPod?.(pod(calls.checkPod.parse(given)), signal)
  if (method === 'collectGarbage')
    return plugin.collectGarbage?.(...calls.collectGarbage.parse(given), signal)
  if (method === 'close') return plugin.close?.()
  throw new Error(`a plugin has no ${method}`)
}

/** The host, as the plugin sees it. */
function hostThere(isLegacy: boolean): Host {
  // It answers by its contract.
  const ask = <T>(method: string, ...args: string[]) => peer.call(method, args) as Promise<T>
  return {
    getNetNS: (sandboxId) => ask('getNetNS', sandboxId),
    getPodPortMappings: (sandboxId) => ask('getPodPortMappings', sandboxId),
    getPodByName: (namespace, name) => ask('getPodByName', namespace, name),
    // Objects of the host's process; Podwire's own host has neither.
    getKubeClient: () => undefined,
    getContainerRuntime: () => undefined,
    supportsLegacyFeatures: () => isLegacy,
    report: (event, details) => peer.tell('report', { event, details: plainFields(details) }),
  }
}

function mirrorCapabilities(): void {
  for (const plugin of plugins.values()) {
    const capabilities = capabilitiesOf(plugin)
    if (told.get(plugin.name) === capabilities) continue
    told.set(plugin.name, capabilities)
    peer.tell('capabilities', { plugin: plugin.name, capabilities })
  }
}

function capabilitiesOf(plugin: NetworkPlugin): unknown {
  try {
    const capabilities: unknown = plugin.capabilities()
    return typeof capabilities === 'number' ? capabilities : null
  } catch {
    return null
  }
}
