import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { createNetns, removeNetns } from '@podwire/netlink'
import type { BenchPod, Times } from './go-reference.ts'

/** Pods with a fresh network namespace each; outside of what is timed, and in a turn each for the delay of the loop. */
export async function makePods(
  prefix: string,
  count: number,
  more: (index: number) => Partial<BenchPod> = () => ({}),
): Promise<BenchPod[]> {
  const pods: BenchPod[] = []
  for (let index = 0; index < count; index++) {
    const id = `${prefix}-${index}`
    const netns = `/run/netns/${id}`
    createNetns(netns)
    pods.push({ id, netns, ...more(index) })
    await nextTurn()
  }
  return pods
}

/** Removes their namespaces. */
export async function removePods(pods: readonly BenchPod[]): Promise<void> {
  for (const { netns } of pods) {
    removeNetns(netns)
    await nextTurn()
  }
  await settled()
}

/**
 * Lets the kernel finish what the last operations left to it, as it holds the lock that everything about links needs: to
 * forget namespaces, and to look for duplicates of IPv6 addresses that the reference's links make for themselves.
 */
export const settled = () => sleep(1500)

/** Runs an operation on each pod, so many at a time. */
export async function runAll(
  pods: readonly BenchPod[],
  concurrency: number,
  operation: (pod: BenchPod) => Promise<unknown>,
): Promise<Times> {
  const each: number[] = []
  let next = 0
  const started = performance.now()
  const worker = async () => {
    for (let pod = pods[next]; pod; pod = pods[next]) {
      const index = next++
      const begun = performance.now()
      await operation(pod)
      each[index] = performance.now() - begun
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  return { each, total: performance.now() - started }
}

/** Pods in a second. */
export function throughput({ each, total }: Times): number {
  return (each.length * 1000) / total
}
