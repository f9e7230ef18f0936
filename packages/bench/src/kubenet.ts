import { mkdtempSync, rmSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import type { NetworkPlugin, PortMapping } from '@podwire/api'
import kubenetModule from '@podwire/plugin-kubenet'
import { fakeHost, recordingLogger } from '@podwire/testing'
import { writeChain } from './chain.ts'
import { joined } from './cni.ts'
import { type Figure, figure, median } from './figure.ts'
import {
  type BenchPod,
  type GoReference,
  missingForGo,
  startGoReference,
  type Times,
} from './go-reference.ts'
import { makePods, removePods, runAll, throughput } from './pods.ts'

const none = new AbortController().signal

/** kubenet beside the classic chain in Go: address, route and masquerade in place, then a host port and shaping besides. */
export async function kubenet(): Promise<Figure[]> {
  const missing = missingForGo()
  if (missing) {
    console.error(`bench: kubenet is skipped; it needs: ${missing}`)
    return []
  }
  const dir = mkdtempSync('/run/podwire-bench-')
  const plain = startGoReference(dir, writeChain(dir, { name: 'plain0' }))
  const shaped = startGoReference(dir, writeChain(dir, { name: 'shaped0', shaping: true }))
  const host = fakeHost()
  const plugin = await start(host, dir)
  const delay = monitorEventLoopDelay({ resolution: 1 })
  try {
    delay.enable()
    const figures = [
      ...(await setUpAndTearDown(plugin, host, plain)),
      await withPortAndShaping(plugin, host, shaped),
      ...(await aThousand(plugin, host, plain)),
    ]
    delay.disable()
    figures.push(
      figure({
        bench: 'kubenet',
        row: 'the event loop blocked at most, during all of this; the goal',
        unit: 'ms',
        ours: delay.max / 1e6,
        reference: 25,
        goal: '≤ 1',
      }),
    )
    return figures
  } finally {
    delay.disable()
    plain.close()
    shaped.close()
    await plugin.close?.()
    rmSync(dir, { recursive: true, force: true })
  }
}

type FakeHost = ReturnType<typeof fakeHost>

async function start(host: FakeHost, dir: string): Promise<NetworkPlugin> {
  const [plugin] = await kubenetModule.probe({
    // The schema fills every option in.
    options: await defaultOptions(),
    configDir: undefined,
    stateDir: `${dir}/kubenet`,
    log: recordingLogger(),
  })
  if (!plugin) throw new Error('kubenet offers no plugin')
  await plugin.init(host, { hairpinMode: 'hairpin-veth', nonMasqueradeCIDR: '10.0.0.0/8', mtu: 0 })
  await plugin.event('pod-cidr-change', { 'pod-cidr': '10.121.0.0/16' })
  return plugin
}

async function defaultOptions() {
  const result = await kubenetModule.options?.['~standard'].validate({})
  if (!result || result.issues) throw new Error('kubenet has no default options')
  return result.value
}

const setUp = (plugin: NetworkPlugin, host: FakeHost) => async (pod: BenchPod) => {
  host.sandboxes.set(pod.id, pod.netns)
  await plugin.setUpPod(ref(pod), none)
}

const tearDown = (plugin: NetworkPlugin) => (pod: BenchPod) => plugin.tearDownPod(ref(pod), none)

const ref = ({ id }: BenchPod) => ({ namespace: 'bench', name: id, sandboxId: id })

async function setUpAndTearDown(plugin: NetworkPlugin, host: FakeHost, go: GoReference): Promise<Figure[]> {
  const ups: { ours: Times[]; reference: Times[] } = { ours: [], reference: [] }
  const ours: BenchPod[] = []
  const theirs: BenchPod[] = []
  for (let block = 0; block < 5; block++) {
    const mine = await makePods(`ours-${block}`, 20)
    const others = await makePods(`go-${block}`, 20)
    ups.reference.push(await go.run('add', others, 1))
    ups.ours.push(await runAll(mine, 1, setUp(plugin, host)))
    ours.push(...mine)
    theirs.push(...others)
  }
  const downTheirs = await go.run('del', theirs, 4)
  const downOurs = await runAll(ours, ours.length, tearDown(plugin))
  await removePods([...ours, ...theirs])
  return [
    figure({
      bench: 'kubenet',
      row: 'setUpPod, one at a time, p50; ADD in Go',
      unit: 'ms',
      ours: median(joined(ups.ours).each),
      reference: median(joined(ups.reference).each),
      goal: '≤ 1/25',
    }),
    figure({
      bench: 'kubenet',
      row: 'tearDownPod of 100 pods, all together; DEL in Go, 4 at a time',
      unit: 'ms',
      ours: downOurs.total,
      reference: downTheirs.total,
      goal: '≤ 1/20',
    }),
  ]
}

async function withPortAndShaping(plugin: NetworkPlugin, host: FakeHost, go: GoReference): Promise<Figure> {
  const port = (index: number): PortMapping => ({
    hostPort: 20_000 + index,
    containerPort: 80,
    protocol: 'tcp',
  })
  const bandwidth = {
    ingressRate: 10_000_000,
    ingressBurst: 10_000_000,
    egressRate: 10_000_000,
    egressBurst: 10_000_000,
  }
  const ours = await makePods('ours-shaped', 40)
  const theirs = await makePods('go-shaped', 40, (index) => ({
    capabilityArgs: { portMappings: [port(1000 + index)], bandwidth },
  }))
  for (const [index, pod] of ours.entries()) {
    host.pods.push({
      ...ref(pod),
      annotations: { 'kubernetes.io/ingress-bandwidth': '10M', 'kubernetes.io/egress-bandwidth': '10M' },
      portMappings: [port(index)],
    })
  }
  const reference = await go.run('add', theirs, 1)
  const mine = await runAll(ours, 1, setUp(plugin, host))
  await go.run('del', theirs, 4)
  await runAll(ours, ours.length, tearDown(plugin))
  await removePods([...ours, ...theirs])
  return figure({
    bench: 'kubenet',
    row: 'setUpPod with a host port and shaping, p50; ADD in Go',
    unit: 'ms',
    ours: median(mine.each),
    reference: median(reference.each),
    goal: '≤ 1/8',
  })
}

async function aThousand(plugin: NetworkPlugin, host: FakeHost, go: GoReference): Promise<Figure[]> {
  const ours = await makePods('many', 1000)
  const theirs = await makePods('go-many', 100)
  const reference = await go.run('add', theirs, 16)
  await go.run('del', theirs, 4)
  for (const pod of ours) host.sandboxes.set(pod.id, pod.netns)
  const mine = await runAll(ours, 16, setUp(plugin, host))
  const [first, last] = [median(mine.each.slice(0, 100)), median(mine.each.slice(-100))]
  await runAll(ours, ours.length, tearDown(plugin))
  await removePods([...ours, ...theirs])
  return [
    figure({
      bench: 'kubenet',
      row: '1,000 pods, 16 at a time, throughput; 100 in Go',
      unit: 'pods/s',
      ours: throughput(mine),
      reference: throughput(reference),
      goal: '≥ 15',
    }),
    figure({
      bench: 'kubenet',
      row: 'p50 of pod 901–1000; of pod 1–100',
      unit: 'ms',
      ours: last,
      reference: first,
      goal: '≤ 1.5',
    }),
  ]
}

/** What kubenet keeps in memory of a pod. Apart, because collecting garbage for a true figure blocks the loop. */
export async function memory(): Promise<Figure[]> {
  const dir = mkdtempSync('/run/podwire-bench-')
  const host = fakeHost()
  const plugin = await start(host, dir)
  const pods = await makePods('kept', 900)
  // What the host and this bench keep of them is there before.
  for (const pod of pods) host.sandboxes.set(pod.id, pod.netns)
  const up = setUp(plugin, host)
  // What code and caches take settles with the first hundreds.
  for (const pod of pods.slice(0, 400)) await up(pod)
  const before = await heapUsed()
  for (const pod of pods.slice(400)) await up(pod)
  const perPod = ((await heapUsed()) - before) / (pods.length - 400) / 1024
  await runAll(pods, pods.length, tearDown(plugin))
  await removePods(pods)
  await plugin.close?.()
  rmSync(dir, { recursive: true, force: true })
  return [
    figure({
      bench: 'memory',
      row: 'kubenet, for each pod kept; the goal',
      unit: 'kB',
      ours: perPod,
      reference: 4,
      goal: '≤ 1',
    }),
  ]
}

/** Bytes, when what nobody needs is gone: the least of several collections, because one alone leaves up to 5 MB. */
async function heapUsed(): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let round = 0; round < 10; round++) {
    await sleep(20)
    globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' } as NodeJS.GCOptions)
    least = Math.min(least, process.memoryUsage().heapUsed)
  }
  return least
}
