import type { Figure } from '../figure.ts'
import { joinBench } from './join.ts'
import { leasesBench } from './leases.ts'
import { hasEtcd, makeMachines, startEtcd } from './machines.ts'
import { streamsBench } from './streams.ts'

/** Many nodes: how soon they reach each other, what a thousand of them take, and how fast pods of two are. */
export async function cluster(): Promise<Figure[]> {
  if (hasEtcd()) {
    const joins = async () => [...(await joinBench()), ...(await leasesBench())]
    return [...(await onMachines(10, joins)), ...(await onMachines(2, streamsBench))]
  }
  console.error('bench: cluster is skipped; it needs: apt-get install etcd-server etcd-client')
  return []
}

async function onMachines(count: number, bench: () => Promise<Figure[]>): Promise<Figure[]> {
  const remove = makeMachines(count)
  const endEtcd = await startEtcd()
  try {
    return await bench()
  } finally {
    await endEtcd()
    remove()
  }
}
