import type { Figure } from '../figure.ts'
import { joinBench } from './join.ts'
import { leasesBench } from './leases.ts'
import { hasEtcd, makeMachines, startEtcd } from './machines.ts'
import { streamsBench } from './streams.ts'

/** Many nodes: how soon they reach each other, what a thousand of them take, and how fast pods of two are. */
export async function cluster(): Promise<Figure[]> {
  const figures = hasEtcd() ? await onMachines(10, withEtcd) : []
  if (figures.length === 0)
    console.error('bench: joins are skipped; they need: apt-get install etcd-server etcd-client')
  return [...figures, ...(await onMachines(2, streamsBench))]
}

async function onMachines(count: number, bench: () => Promise<Figure[]>): Promise<Figure[]> {
  const remove = makeMachines(count)
  try {
    return await bench()
  } finally {
    remove()
  }
}

async function withEtcd(): Promise<Figure[]> {
  const endEtcd = await startEtcd()
  try {
    return [...(await joinBench()), ...(await leasesBench())]
  } finally {
    await endEtcd()
  }
}
