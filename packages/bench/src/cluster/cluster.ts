import type { Figure } from '../figure.ts'
import { joinBench } from './join.ts'
import { leasesBench } from './leases.ts'
import { hasEtcd, makeMachines, startEtcd } from './machines.ts'
import { streamsBench } from './streams.ts'

/** Many nodes: how soon they reach each other, what a thousand of them take, and how fast pods of two are. */
export async function cluster(): Promise<Figure[]> {
  const removeMachines = makeMachines(10)
  try {
    return [...(await withEtcd()), ...(await streamsBench())]
  } finally {
    removeMachines()
  }
}

async function withEtcd(): Promise<Figure[]> {
  if (!hasEtcd()) {
    console.error('bench: cluster is skipped in part; it needs: apt-get install etcd-server etcd-client')
    return []
  }
  const endEtcd = await startEtcd()
  try {
    return [...(await joinBench()), ...(await leasesBench())]
  } finally {
    await endEtcd()
  }
}
