import { mkdtempSync, rmSync } from 'node:fs'
import { createCni, readNetworkFile } from '@podwire/libcni'
import { writeChain } from './chain.ts'
import { type Figure, figure, median } from './figure.ts'
import { missingForGo, startGoReference, type Times } from './go-reference.ts'
import { makePods, removePods, runAll, throughput } from './pods.ts'

const blocks = 5
const podsInBlock = 20

/** `@podwire/libcni` beside Go's, the same plugins and chain, in blocks by turns. */
export async function cni(): Promise<Figure[]> {
  const missing = missingForGo()
  if (missing) {
    console.error(`bench: cni is skipped; it needs: ${missing}`)
    return []
  }
  const dir = mkdtempSync('/run/podwire-bench-')
  const conflist = writeChain(dir, { name: 'bench0' })
  const reference = startGoReference(dir, conflist)
  const ours = createCni({ pluginDirectories: ['/usr/lib/cni'], cacheDirectory: `${dir}/ours` })
  const network = await readNetworkFile(conflist)
  const attachment = ({ id, netns }: { id: string; netns: string }) => ({
    containerId: id,
    netns,
    ifName: 'eth0',
  })
  try {
    const figures: Figure[] = []
    // What a runtime does its first times is not compiled yet.
    const warm = await makePods('warm', podsInBlock)
    await runAll(warm, 1, (pod) => ours.add(network, attachment(pod)))
    await runAll(warm, 1, (pod) => ours.del(network, attachment(pod)))
    await removePods(warm)
    for (const concurrency of [1, 8]) {
      const times: Record<'ours' | 'reference', { add: Times[]; del: Times[] }> = {
        ours: { add: [], del: [] },
        reference: { add: [], del: [] },
      }
      for (let block = 0; block < blocks; block++) {
        const goPods = await makePods(`go-${concurrency}-${block}`, podsInBlock)
        times.reference.add.push(await reference.run('add', goPods, concurrency))
        times.reference.del.push(await reference.run('del', goPods, concurrency))
        await removePods(goPods)
        const ourPods = await makePods(`ours-${concurrency}-${block}`, podsInBlock)
        times.ours.add.push(await runAll(ourPods, concurrency, (pod) => ours.add(network, attachment(pod))))
        times.ours.del.push(await runAll(ourPods, concurrency, (pod) => ours.del(network, attachment(pod))))
        await removePods(ourPods)
      }
      for (const operation of ['add', 'del'] as const) {
        const [mine, theirs] = [joined(times.ours[operation]), joined(times.reference[operation])]
        const row = `${operation.toUpperCase()}, ${concurrency} at a time`
        figures.push(
          figure({
            bench: 'cni',
            row: `${row}, p50; libcni in Go`,
            unit: 'ms',
            ours: median(mine.each),
            reference: median(theirs.each),
            goal: '≤ 1.10',
          }),
          figure({
            bench: 'cni',
            row: `${row}, throughput; libcni in Go`,
            unit: 'pods/s',
            ours: throughput(mine),
            reference: throughput(theirs),
            goal: '≥ 0.91',
          }),
        )
      }
    }
    return figures
  } finally {
    reference.close()
    rmSync(dir, { recursive: true, force: true })
  }
}

export function joined(times: readonly Times[]): Times {
  return {
    each: times.flatMap(({ each }) => each),
    total: times.reduce((sum, { total }) => sum + total, 0),
  }
}
