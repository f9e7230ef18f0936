import type { HostEvents, NetworkHost, PodName } from 'podwire'

/** All connections of one kind. */
export interface Seen {
  readonly what: 'reached' | 'denied'
  readonly protocol: string
  /** The name that it asked for, else an address, with the port. */
  readonly to: string
  times: number
  bytesSent: number
  bytesReceived: number
}

type Flow = HostEvents['flow:allowed'] | HostEvents['flow:closed'] | HostEvents['flow:denied']

/** Says what a pod reaches and what it is denied while it happens. It is torn down before `end`: what it did last is told then. */
export async function watchFlows(host: NetworkHost, pod: PodName, say: (line: string) => void) {
  const all = new Map<string, Seen>()
  const isOurs = (flow: Flow) => flow.pod.namespace === pod.namespace && flow.pod.name === pod.name

  function note(what: Seen['what'], flow: Flow, change: (seen: Seen) => void) {
    // Its questions for names are shown when they are denied.
    if (!isOurs(flow) || (what === 'reached' && flow.port === 53)) return
    const { protocol, name, address, port } = flow
    const isElsewhere = 'rule' in flow && flow.rule === 'address'
    const to = isElsewhere
      ? `${name}, which leads to ${address}, not a public address`
      : `${name ?? address}${port === undefined ? '' : `:${port}`}`
    const key = `${what} ${protocol} ${to}`
    const seen = all.get(key) ?? { what, protocol, to, times: 0, bytesSent: 0, bytesReceived: 0 }
    if (!all.has(key))
      say(`${what === 'reached' ? '->' : 'x '} ${protocol} ${to}${'rule' in flow ? ` (${flow.rule})` : ''}`)
    all.set(key, seen)
    change(seen)
  }

  const stops = [
    host.events.on('flow:denied', (flow) => note('denied', flow, (seen) => (seen.times += flow.count))),
    host.events.on('flow:allowed', (flow) => note('reached', flow, (seen) => (seen.times += flow.count))),
    host.events.on('flow:closed', (flow) =>
      note('reached', flow, (seen) => {
        seen.bytesSent += flow.sent?.bytes ?? 0
        seen.bytesReceived += flow.received?.bytes ?? 0
      }),
    ),
  ]
  const unwatch = await host.watchFlows()
  return {
    async end(): Promise<readonly Seen[]> {
      await unwatch()
      for (const stop of stops) stop()
      return [...all.values()]
    },
  }
}

export function summary(seen: readonly Seen[]): string[] {
  const rows = seen.map(({ what, protocol, to, times, bytesSent, bytesReceived }) => [
    what,
    protocol,
    to,
    `${times} ${times === 1 ? 'time' : 'times'}`,
    what === 'reached' ? `${bytesSent} bytes sent, ${bytesReceived} received` : '',
  ])
  const widths = [0, 1, 2, 3].map((column) => Math.max(0, ...rows.map((row) => row[column]!.length)))
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}
