import { mkdtempSync, rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { type Figure, figure, median } from './figure.ts'
import { startKubenet } from './kubenet-plugin.ts'
import { makePods, removePods } from './pods.ts'

const rounds = 3
const podsInRound = 300
const podsInStep = 100

/** What kubenet keeps in memory of a pod. Apart, because collecting garbage for a true figure blocks the loop. */
export async function memory(): Promise<Figure[]> {
  const dir = mkdtempSync('/run/podwire-bench-')
  const kubenet = await startKubenet(dir)
  const pods = await makePods('kept', rounds * podsInRound)
  // What code and caches take settles with the first rounds.
  for (let round = 0; round < rounds; round++) {
    const some = pods.slice(round * podsInRound, (round + 1) * podsInRound)
    await kubenet.setUp(some, 1)
    await kubenet.tearDown(some)
  }
  const kept: number[] = [await bytesKept()]
  for (let start = 0; start < pods.length; start += podsInStep) {
    await kubenet.setUp(pods.slice(start, start + podsInStep), 1)
    kept.push(await bytesKept())
  }
  await kubenet.tearDown(pods)
  await removePods(pods)
  await kubenet.close()
  rmSync(dir, { recursive: true, force: true })
  return [
    figure({
      bench: 'memory',
      row: 'kubenet, for each pod kept; the goal',
      unit: 'kB',
      ours: slope(kept) / podsInStep / 1024,
      reference: 4,
      goal: '≤ 1',
    }),
  ]
}

/** The median of the slopes between all pairs of values, which a jump of one of them does not move. */
function slope(values: readonly number[]): number {
  const slopes = values.flatMap((from, at) =>
    values.slice(at + 1).map((to, further) => (to - from) / (further + 1)),
  )
  return median(slopes)
}

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as NodeJS.GCFunction // what the flag above puts there

/** Bytes of objects, when what nobody needs is gone; code aside, which comes and goes as the engine likes. */
async function bytesKept(): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let round = 0; round < 5; round++) {
    await sleep(20)
    collectGarbage({ type: 'major', execution: 'sync', flavor: 'last-resort' })
    const objects = getHeapSpaceStatistics().filter(({ space_name }) => !space_name.includes('code'))
    const heap = objects.reduce((sum, { space_used_size }) => sum + space_used_size, 0)
    least = Math.min(least, heap + process.memoryUsage().arrayBuffers)
  }
  return least
}
