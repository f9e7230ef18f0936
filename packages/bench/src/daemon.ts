import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connectNetworkHost } from '@podwire/client'
import { createNetworkHost, type NetworkHost, type PodwireConfig } from '@podwire/core'
import { type Figure, figure, interleaved, median, timed } from './figure.ts'
import { endDaemon, startDaemon } from './installed.ts'

const netns = '/run/netns/podwire-bench'
const plugin = (name: string) => ({
  packages: [new URL(`../../../plugins/${name}`, import.meta.url).pathname],
})
const noop: PodwireConfig = { networkPlugin: '', discovery: plugin('noop') }
const kubenet: PodwireConfig = {
  networkPlugin: 'kubenet',
  podCIDR: '10.91.0.0/16',
  discovery: plugin('kubenet'),
}
const clients = 64
const podsOfClient = 32
const recovered = 1_000

/** A host in a daemon, beside one in this process. */
export async function daemon(): Promise<Figure[]> {
  const dir = mkdtempSync('/run/podwire-bench-')
  execFileSync('ip', ['netns', 'add', 'podwire-bench'])
  try {
    return [...(await withNoop(dir)), await withKubenet(dir), await recovery(dir)]
  } finally {
    execFileSync('ip', ['netns', 'delete', 'podwire-bench'])
    rmSync(dir, { recursive: true, force: true })
  }
}

async function withNoop(dir: string): Promise<Figure[]> {
  const { ours, reference, process: child, close } = await bothHosts(dir, 'noop', noop)
  const pod = { namespace: 'bench', name: 'pod', netns }
  const setUp = async (host: NetworkHost) => {
    const ms = await timed(() => host.setUpPod(pod))
    await host.tearDownPod(pod)
    return ms
  }
  try {
    await sleep(2_000)
    const idleMb = residentMb(child.pid)
    // Compiled by then, on both sides.
    for (let i = 0; i < 300; i++) await setUp(ours)
    const times = { ours: [] as number[], reference: [] as number[] }
    for (let i = 0; i < 500; i++) {
      times.ours.push(await setUp(ours))
      times.reference.push(await setUp(reference))
    }
    const rates = { ours: [] as number[], reference: [] as number[] }
    for (let round = 0; round < 5; round++) {
      rates.ours.push(await podsPerSecond(ours))
      rates.reference.push(await podsPerSecond(reference))
    }
    return [
      figure({
        bench: 'daemon',
        row: 'set-up by a plugin that does nothing, p50; in process',
        unit: 'ms',
        ours: median(times.ours),
        reference: median(times.reference),
        goal: 'ours ≤ 1 ms',
      }),
      figure({
        bench: 'daemon',
        row: `the same, ${clients} clients at once; in process`,
        unit: 'pods/s',
        ours: median(rates.ours),
        reference: median(rates.reference),
        goal: 'ours ≥ 2,000',
      }),
      figure({
        bench: 'daemon',
        row: 'resident memory before the first pod; the goal',
        unit: 'MB',
        ours: idleMb,
        reference: 80,
        goal: '≤ 1',
      }),
    ]
  } finally {
    await close()
  }
}

async function podsPerSecond(host: NetworkHost): Promise<number> {
  const ms = await timed(() =>
    Promise.all(
      Array.from({ length: clients }, async (_, client) => {
        for (let i = 0; i < podsOfClient; i++) {
          await host.setUpPod({ namespace: 'bench', name: `pod-${client}-${i}`, netns })
        }
      }),
    ),
  )
  const pods = await host.pods()
  if (pods.length !== clients * podsOfClient)
    throw new Error(`${pods.length} pods of ${clients * podsOfClient}`)
  await Promise.all(pods.map(({ pod }) => host.tearDownPod(pod)))
  return (pods.length * 1000) / ms
}

async function withKubenet(dir: string): Promise<Figure> {
  const { ours, reference, close } = await bothHosts(dir, 'kubenet', kubenet)
  let count = 0
  const setUp = (host: NetworkHost) => host.setUpPod({ namespace: 'bench', name: `pod-${count++}` })
  try {
    for (let i = 0; i < 200; i++) await setUp(ours)
    await ours.prune({ all: true })
    const times = await interleaved(
      100,
      () => setUp(ours),
      () => setUp(reference),
    )
    await ours.prune({ all: true })
    await ours.event('reset', {})
    return figure({
      bench: 'daemon',
      row: 'set-up by kubenet, p50; in process',
      unit: 'ms',
      ours: median(times.ours),
      reference: median(times.reference),
      goal: 'ours − reference ≤ 0.5 ms',
    })
  } finally {
    await close()
  }
}

/** Pods whose tear-down never finished, each to be torn down at the start. */
async function recovery(dir: string): Promise<Figure> {
  const stateDir = join(dir, 'recovery')
  const host = await createNetworkHost({ config: noop, stateDir })
  const record = await host.setUpPod({ namespace: 'bench', name: 'pod', netns })
  await host.close()
  const starts = { ours: [] as number[], reference: [] as number[] }
  for (let round = 0; round < 5; round++) {
    for (let i = 0; i < recovered; i++) {
      const pod = { ...record.pod, name: `pod-${i}`, sandboxId: `bench-${i}` }
      const text = JSON.stringify({ ...record, pod, phase: 'tearing-down' })
      writeFileSync(join(stateDir, 'sandboxes', `bench-${i}.json`), text)
    }
    for (const times of [starts.ours, starts.reference]) {
      const child = await startDaemon(stateDir, noop)
      times.push(child.startedMs)
      await endDaemon(child.process)
    }
  }
  return figure({
    bench: 'daemon',
    row: `start of a daemon that recovers ${recovered} pods; that has none to recover`,
    unit: 'ms',
    ours: median(starts.ours),
    reference: median(starts.reference),
    goal: 'ours − reference ≤ 1,000 ms',
  })
}

/** Hosts of one configuration, on one state directory where they share the plugin's, else on two. */
async function bothHosts(dir: string, name: string, config: PodwireConfig) {
  const child = await startDaemon(join(dir, name), config)
  const ours = await connectNetworkHost({ socket: join(dir, name, 'podwire.sock') })
  // Two of kubenet would quarrel over the machine: both work on one directory, as a daemon and a command do.
  const stateDir = join(dir, config === kubenet ? name : `${name}-reference`)
  const reference = await createNetworkHost({ config, stateDir, recover: false })
  const close = async () => {
    await ours.close()
    await reference.close()
    await endDaemon(child.process)
  }
  return { ours, reference, process: child.process, close }
}

function residentMb(pid: number | undefined): number {
  const [, kb = ''] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kb) / 1024
}
