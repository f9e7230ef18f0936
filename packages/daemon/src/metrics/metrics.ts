import { parsePodCIDR } from '@podwire/api'
import type { LocalNetworkHost } from '@podwire/core'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { createPodIndex } from './pod-index.ts'
import { measureProcess } from './process-metrics.ts'

/** The metrics of a daemon, in the text format of Prometheus. */
export interface Metrics {
  readonly contentType: string
  text(): Promise<string>
  answered(route: string, status: number, durationMs: number): void
  close(): void
}

// From a set-up by a plugin that does nothing to one that runs executables.
const buckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120]

const phases = ['setting-up', 'ready', 'changing', 'tearing-down'] as const

export function createMetrics(host: LocalNetworkHost, version: string): Metrics {
  const registry = new Registry()
  const registers = [registry]
  const stopMeasuring = measureProcess(registry)
  const operations = new Histogram({
    name: 'podwire_operation_duration_seconds',
    help: 'Set-ups and tear-downs by the network plugin, by how they ended.',
    labelNames: ['plugin', 'operation', 'outcome'] as const,
    buckets,
    registers,
  })
  const requests = new Histogram({
    name: 'podwire_request_duration_seconds',
    help: 'Requests to the daemon, by route and status.',
    labelNames: ['route', 'status'] as const,
    buckets,
    registers,
  })
  const crashed = new Counter({
    name: 'podwire_plugin_crashes_total',
    help: 'How often the process of an isolated plugin ended by itself, or was killed for hanging.',
    labelNames: ['plugin'] as const,
    registers,
  })
  const restarted = new Counter({
    name: 'podwire_plugin_restarts_total',
    help: 'How often it was started again after that.',
    labelNames: ['plugin'] as const,
    registers,
  })
  const repaired = new Counter({
    name: 'podwire_pods_repaired_total',
    help: 'Pods whose network was no longer as it was set up, and was put right.',
    labelNames: ['plugin'] as const,
    registers,
  })
  const recovered = new Counter({
    name: 'podwire_sandboxes_recovered_total',
    help: 'What an earlier process left half done, and was torn down or undone.',
    registers,
  })
  const denied = new Counter({
    name: 'podwire_flows_denied_total',
    help: 'Packets, and names asked for, that policies of pods denied and that were told; a flood is not counted to the end.',
    labelNames: ['plugin', 'direction', 'protocol', 'rule'] as const,
    registers,
  })
  const flowsLost = new Counter({
    name: 'podwire_flows_lost_total',
    help: 'How often more allowed flows began or ended than could be told, while somebody watched.',
    labelNames: ['plugin'] as const,
    registers,
  })
  const pods = new Gauge({
    name: 'podwire_pods',
    help: 'Pods by the phase of their records.',
    labelNames: ['phase'] as const,
    registers,
  })
  const addresses = new Gauge({
    name: 'podwire_addresses',
    help: 'Addresses of pods by family: those in use, and those free of the pod CIDR where the configuration names it.',
    labelNames: ['family', 'state'] as const,
    registers,
  })
  new Gauge({ name: 'podwire_info', help: 'The version.', labelNames: ['version'] as const, registers })
    .labels(version)
    .set(1)
  const ready = new Gauge({
    name: 'podwire_ready',
    help: 'Whether the network plugin could set pods up when it was asked last.',
    registers,
  })

  const { events } = host
  const observe = (operation: string, outcome: string) => (event: { plugin: string; durationMs: number }) =>
    operations.labels(event.plugin, operation, outcome).observe(event.durationMs / 1000)
  const stops = [
    events.on('pod:setup:done', observe('set up', 'done')),
    events.on('pod:setup:failed', observe('set up', 'failed')),
    events.on('pod:teardown:done', observe('tear down', 'done')),
    events.on('pod:teardown:failed', observe('tear down', 'failed')),
    events.on('plugin:crashed', ({ plugin }) => crashed.labels(plugin).inc()),
    events.on('plugin:restarted', ({ plugin }) => restarted.labels(plugin).inc()),
    events.on('pod:repaired', ({ plugin }) => repaired.labels(plugin).inc()),
    events.on('sandbox:recovered', () => recovered.inc()),
    events.on('flow:denied', ({ plugin, direction, protocol, rule, count }) =>
      // No more series than there are of these, whatever pods send and whichever rules they have.
      denied.labels(plugin, direction, knownProtocol(protocol), ruleKind(rule)).inc(Math.max(0, count)),
    ),
    events.on('flow:lost', ({ plugin }) => flowsLost.labels(plugin).inc()),
    events.on('status:changed', (event) => ready.set(event.ready ? 1 : 0)),
  ]

  const index = createPodIndex(host)
  const count = async () => {
    const counted = await index.count()
    for (const phase of phases) pods.labels(phase).set(counted.phases.get(phase) ?? 0)
    const { podCIDR } = host.configuration.config
    for (const family of ['ipv4', 'ipv6'] as const) {
      const used = counted[family]
      addresses.labels(family, 'used').set(used)
      const size = sizeOf(podCIDR, family)
      if (size !== undefined) addresses.labels(family, 'free').set(Math.max(0, size - used))
    }
  }

  return {
    contentType: registry.contentType,
    text: async () => {
      await count()
      return registry.metrics()
    },
    answered: (route, status, durationMs) =>
      requests.labels(route, String(status)).observe(durationMs / 1000),
    close: () => {
      stopMeasuring()
      for (const stop of stops) stop()
    },
  }
}

/** `deny[3]` is `deny`; what isn't one of the host's own words is `other`. */
const ruleKind = (rule: string) => /^(default|deny|limit|address)\b/.exec(rule)?.[1] ?? 'other'

const protocols: ReadonlySet<string> = new Set(['tcp', 'udp', 'icmp', 'sctp', 'dns'])
const knownProtocol = (protocol: string) => (protocols.has(protocol) ? protocol : 'other')

type Family = 'ipv4' | 'ipv6'

/** How many addresses a pod CIDR has of a family: all of it less the first and the last, which pods don't get. */
function sizeOf(podCIDR: string, family: Family): number | undefined {
  const bits = family === 'ipv4' ? 32 : 128
  const cidr = parsePodCIDR(podCIDR)?.find((one) => one.family === (family === 'ipv4' ? 4 : 6))
  return cidr && Math.max(0, 2 ** (bits - cidr.prefixLength) - 2)
}
