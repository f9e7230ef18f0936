import { DEFAULT_PLUGIN_NAME, messageOf, podKey } from '@podwire/api'
import { createNetworkHost, createSandboxStore, type Readiness, type SandboxRecord } from '@podwire/core'
import { notReady } from '../errors.ts'
import { type GlobalFlags, parsePodName } from '../flags.ts'
import { podJson } from '../pod-json.ts'
import { formatTable } from '../table.ts'
import { hostOptions } from '../with-host.ts'

interface Status {
  readonly plugin: { name: string; package?: string; version?: string; capabilities: string[] }
  readonly readiness: Readiness
  readonly pods: readonly SandboxRecord[]
}

/** `podwire status`; exits with 1 while the plugin can't set pods up. */
export async function status(
  pod: string | undefined,
  flags: GlobalFlags,
  { json = false }: { json?: boolean },
) {
  const name = pod === undefined ? undefined : parsePodName(pod)
  const { plugin, readiness, pods } = await readStatus(flags)
  const shown = name ? pods.filter((record) => podKey(record.pod) === podKey(name)) : pods
  if (json) console.log(JSON.stringify({ plugin, ...readiness, pods: shown.map(podJson) }))
  else printStatus({ plugin, readiness, pods: shown })
  if (name && shown.length === 0) {
    console.error(`podwire: there is no pod ${podKey(name)}`)
    return 1
  }
  return readiness.ready ? 0 : 1
}

async function readStatus(flags: GlobalFlags): Promise<Status> {
  const options = await hostOptions(flags)
  try {
    const host = await createNetworkHost({ ...options, recover: false })
    try {
      const { from, manager, capabilities } = host.plugin
      return {
        plugin: {
          name: manager.name,
          ...(from ? { package: from.packageName, version: from.version } : {}),
          capabilities: capabilities(),
        },
        readiness: await host.status(),
        pods: await host.pods(),
      }
    } finally {
      await host.close()
    }
  } catch (error) {
    if (!(error instanceof AggregateError)) throw error
    // The plugin doesn't start; what is set up is known all the same.
    const { config } = options.config
    const { records } = createSandboxStore(config.stateDir).list()
    const plugin = { name: config.networkPlugin || DEFAULT_PLUGIN_NAME, capabilities: [] }
    return {
      plugin,
      readiness: { ready: false, reason: error.errors.map(messageOf).join('; ') },
      pods: records,
    }
  }
}

function printStatus({ plugin, readiness, pods }: Status): void {
  const from = plugin.package ? ` (${plugin.package}@${plugin.version})` : ''
  const can = plugin.capabilities.length > 0 ? `: ${plugin.capabilities.join(', ')}` : ''
  console.log(`plugin ${plugin.name}${from}${can}`)
  if (!readiness.ready)
    console.error(`podwire: ${notReady({ plugin: plugin.name, reason: readiness.reason }).message}`)
  if (pods.length === 0) {
    console.log('no pods')
    return
  }
  const rows = pods.map(({ pod, phase, status: network, setUpMs, netns }) => [
    podKey(pod),
    phase,
    network?.ips?.join(',') ?? network?.ip ?? '-',
    setUpMs === undefined ? '-' : `${setUpMs.toFixed(1)} ms`,
    netns,
  ])
  console.log(formatTable([['POD', 'PHASE', 'ADDRESS', 'SET UP IN', 'NETNS'], ...rows]))
}
