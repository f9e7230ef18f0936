import { setTimeout as sleep } from 'node:timers/promises'
import { podKey } from '@podwire/api'
import type { NetworkHost } from '@podwire/core'
import { Option } from 'commander'
import { command, type DefineCommand } from '../command.ts'
import { type GlobalFlags, type JsonFlag, parseTimeout } from '../flags.ts'
import { withHost } from '../host.ts'
import { enterScreen, printJson, printTable } from '../output.ts'
import { addressesOf, ageOf } from '../pod.ts'
import { interrupted } from '../signals.ts'
import { type Order, orders, sorted, type TopRow } from '../top/sorting.ts'
import { formatRate, ratesBetween, type Traffic, trafficOf } from '../top/traffic.ts'

type Flags = GlobalFlags & JsonFlag & { interval?: number; sort: Order }

const define: DefineCommand = (does) =>
  command(
    'top',
    'show the pods and what goes in and out of each, again and again on a terminal, else once',
    'podwire top --sort in',
  )
    .option('--interval <duration>', 'how long to measure (default: 1s)', parseTimeout)
    .addOption(
      // The keys of an object are strings.
      new Option('--sort <column>', 'what comes first').choices(Object.keys(orders)).default('pod'),
    )
    .option('--json', 'print JSON, once')
    .action(does(top))
export default define

/** By the kernel's counters of each pod's interfaces, in bits per second. */
async function top({ interval = 1_000, sort, json = false, ...flags }: Flags): Promise<void> {
  await withHost(
    flags,
    async (host) => {
      if (process.stdout.isTTY && !json) return showAgain(host, interval, sort)
      const [rows] = await measure(host, new Map(await readings(host)), interval)
      if (json) printJson(sorted(rows, sort).map(asJson))
      else printTable(table(sorted(rows, sort)))
    },
    { lenient: true, recover: false },
  )
}

type Readings = ReadonlyMap<string, Traffic>

async function readings(host: NetworkHost): Promise<[string, Traffic][]> {
  const found = await Promise.all(
    (await host.pods()).map(async (record) => [record.pod.sandboxId, await trafficOf(record)] as const),
  )
  return found.flatMap(([id, traffic]): [string, Traffic][] => (traffic ? [[id, traffic]] : []))
}

/** Waits, and reads the counters again. */
async function measure(
  host: NetworkHost,
  before: Readings,
  interval: number,
  signal: AbortSignal = interrupted,
): Promise<[TopRow[], Readings]> {
  await sleep(interval, undefined, { signal }).catch(() => interrupted.throwIfAborted())
  const records = await host.pods()
  const after = new Map(await readings(host))
  const rows = records.map((record) => {
    const id = record.pod.sandboxId
    return { record, rates: ratesBetween(before.get(id), after.get(id)) }
  })
  return [rows, after]
}

/** Until `q` or a signal. */
async function showAgain(host: NetworkHost, interval: number, first: Order): Promise<void> {
  let order = first
  let rows: TopRow[] = (await host.pods()).map((record) => ({ record, rates: undefined }))
  let before: Readings = new Map(await readings(host))
  const ended = new AbortController()
  const screen = enterScreen()
  const draw = () => {
    const keys = Object.entries(orders).map(([name, key]) => `${key} ${name}`)
    screen.draw(`${rows.length} pods, by ${order}   (${keys.join(', ')}, q quit)`, table(sorted(rows, order)))
  }
  const onKey = (key: Buffer) => {
    const pressed = key.toString()
    const chosen = Object.entries(orders).find(([, letter]) => letter === pressed)?.[0]
    // The keys of an object are strings.
    if (chosen) order = chosen as Order
    // Raw, a terminal sends no signals.
    if (pressed === 'q' || pressed === '\u0003') ended.abort()
    else draw()
  }
  process.stdin.setRawMode?.(true)
  process.stdin.on('data', onKey)
  interrupted.addEventListener('abort', () => ended.abort())
  try {
    while (!ended.signal.aborted) {
      draw()
      ;[rows, before] = await measure(host, before, interval, ended.signal)
    }
  } finally {
    process.stdin.off('data', onKey)
    process.stdin.setRawMode?.(false)
    process.stdin.pause()
    screen.leave()
  }
}

function table(rows: readonly TopRow[]): string[][] {
  const cells = rows.map(({ record, rates }) => [
    podKey(record.pod),
    record.phase,
    addressesOf(record).join(',') || '-',
    rates ? formatRate(rates.received) : '-',
    rates ? formatRate(rates.sent) : '-',
    ageOf(record),
  ])
  return [['POD', 'PHASE', 'ADDRESS', 'IN bit/s', 'OUT bit/s', 'AGE'], ...cells]
}

function asJson({ record, rates }: TopRow) {
  const { namespace, name, sandboxId } = record.pod
  return {
    namespace,
    name,
    sandboxId,
    phase: record.phase,
    ips: addressesOf(record),
    receivedBitsPerSecond: rates?.received ?? null,
    sentBitsPerSecond: rates?.sent ?? null,
    createdAt: record.createdAt,
  }
}
