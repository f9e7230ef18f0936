import { mkdtempSync, rmSync } from 'node:fs'
import type { PortMapping } from '@podwire/api'
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
import { type Kubenet, startKubenet } from './kubenet-plugin.ts'
import { makePods, removePods, settled, throughput } from './pods.ts'

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
  const ours = await startKubenet(dir)
  try {
    const firsts = await warmUp(ours)
    return [
      ...(await setUpAndTearDown(ours, plain, firsts)),
      await withPortAndShaping(ours, shaped),
      ...(await aThousand(ours, plain)),
      figure({
        bench: 'kubenet',
        row: 'the event loop blocked at most, during all of this; the goal',
        unit: 'ms',
        ours: ours.longestBlock(),
        reference: 25,
        goal: '≤ 1',
      }),
    ]
  } finally {
    plain.close()
    shaped.close()
    await ours.close()
    rmSync(dir, { recursive: true, force: true })
  }
}

/** A host lives long: what it does its first few hundred times is not compiled yet. Returns the times of the first hundred. */
async function warmUp(ours: Kubenet): Promise<readonly number[]> {
  const pods = await makePods('warm', 800)
  const { each } = await ours.setUp(pods, 1)
  await ours.tearDown(pods)
  await ours.setUp(pods, 16)
  await ours.tearDown(pods)
  await removePods(pods)
  return each.slice(0, 100)
}

async function setUpAndTearDown(
  kubenet: Kubenet,
  go: GoReference,
  firsts: readonly number[],
): Promise<Figure[]> {
  const ups: { ours: Times[]; reference: Times[] } = { ours: [], reference: [] }
  const ours: BenchPod[] = []
  const theirs: BenchPod[] = []
  for (let block = 0; block < 5; block++) {
    const mine = await makePods(`ours-${block}`, 40)
    const others = await makePods(`go-${block}`, 40)
    ups.reference.push(await go.run('add', others, 1))
    await settled()
    ups.ours.push(await kubenet.setUp(mine, 1))
    ours.push(...mine)
    theirs.push(...others)
  }
  const downTheirs = await go.run('del', theirs.slice(0, 100), 4)
  await go.run('del', theirs.slice(100), 4)
  await settled()
  const downOurs = await kubenet.tearDown(ours.slice(0, 100))
  await kubenet.tearDown(ours.slice(100))
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
      row: 'the same of the first 100 pods of a process',
      unit: 'ms',
      ours: median(firsts),
      reference: median(joined(ups.reference).each),
      goal: '–',
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

async function withPortAndShaping(kubenet: Kubenet, go: GoReference): Promise<Figure> {
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
  const ours = await makePods('ours-shaped', 40, (index) => ({
    asks: { portMappings: [port(index)], bandwidth: { ingress: 10_000_000, egress: 10_000_000 } },
  }))
  const theirs = await makePods('go-shaped', 40, (index) => ({
    capabilityArgs: { portMappings: [port(1000 + index)], bandwidth },
  }))
  const reference = await go.run('add', theirs, 1)
  await settled()
  const mine = await kubenet.setUp(ours, 1)
  await go.run('del', theirs, 4)
  await kubenet.tearDown(ours)
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

async function aThousand(kubenet: Kubenet, go: GoReference): Promise<Figure[]> {
  const ours = await makePods('many', 1000)
  const theirs = await makePods('go-many', 100)
  const reference = await go.run('add', theirs, 16)
  await go.run('del', theirs, 4)
  await settled()
  const mine = await kubenet.setUp(ours, 16)
  await kubenet.tearDown(ours)
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
      row: 'of these, p50 of pod 901–1000; of pod 1–100',
      unit: 'ms',
      ours: median(mine.each.slice(-100)),
      reference: median(mine.each.slice(0, 100)),
      goal: '≤ 1.5',
    }),
  ]
}
