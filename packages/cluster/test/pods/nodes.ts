import type { PeerPod, PeerPodsChange } from '@podwire/api'
import { recordingLogger } from '@podwire/testing'
import type { ClusterEvent, OwnPod } from '../../src/cluster.ts'
import { openEtcd } from '../../src/etcd/client.ts'
import { keysOf } from '../../src/layout/keys.ts'
import { keyNameOf } from '../../src/layout/pod-subnets.ts'
import { keepLeaseTable } from '../../src/leases/lease-table.ts'
import { startMember } from '../../src/leases/member.ts'
import { sharePods } from '../../src/pods/shared-pods.ts'
import { afterThis, stateDir } from '../leases/members.ts'

let count = 0

/** A node that tells of its pods and hears of others', all but its routes. */
export async function startNode(
  endpoints: readonly string[],
  prefix: string,
  {
    nodeName = `node-${++count}`,
    leaseTtl = 60,
    dir = stateDir(),
    take = () => {},
  }: { nodeName?: string; leaseTtl?: number; dir?: string; take?: (change: PeerPodsChange) => unknown } = {},
) {
  const etcd = openEtcd({ endpoints })
  const keys = keysOf(prefix)
  const log = recordingLogger()
  const changes: PeerPodsChange[] = []
  const refused: string[] = []
  /** As a plugin keeps them. */
  const known = new Map<string, readonly PeerPod[]>()
  const pods = sharePods({
    etcd,
    keys,
    log,
    leaseTtl,
    onChange: async (change) => {
      await take(change)
      changes.push(change)
      const { all, changed } = change
      if (all) for (const podCIDR of known.keys()) if (!all.includes(podCIDR)) known.delete(podCIDR)
      for (const { podCIDR, pods: own } of changed) {
        if (own.length > 0) known.set(podCIDR, own)
        else known.delete(podCIDR)
      }
    },
    tell: (event: ClusterEvent) => {
      if (event.event === 'refused') refused.push(...event.what)
    },
  })
  const placed = () => pods.placed(member.membership, table.entries)
  const member = startMember({
    etcd,
    keys,
    nodeName,
    describe: ({ backend }) => ({ publicIP: addressOf(nodeName), backendType: backend.type }),
    leaseTtl,
    renewBefore: leaseTtl / 2,
    stateDir: dir,
    log,
    onChange: () => void Promise.resolve().then(placed),
  })
  const table = keepLeaseTable({
    etcd,
    keys,
    log,
    onChanges: (told) => {
      member.noticed(told)
      placed()
    },
  })
  const stop = async ({ release = false } = {}) => {
    await pods.leave({ release })
    const left = member.stop({ release })
    if (!release) etcd.close()
    await Promise.all([table.stop(), pods.stop()])
    await left
    etcd.close()
  }
  let stopped: Promise<void> | undefined
  const stopOnce = (how?: { release?: boolean }) => (stopped ??= stop(how))
  afterThis(() => stopOnce())
  await member.attempted
  return {
    nodeName,
    dir,
    log,
    pods,
    changes,
    refused,
    member,
    stop: stopOnce,
    get lease() {
      if (member.membership.state !== 'joined') throw new Error(member.membership.reason)
      return member.membership.lease
    },
    /** The name of its lease's key. */
    get place() {
      return keyNameOf(this.lease.subnets)
    },
    /** All that is known of others: `default/web 10.244.2.2`. */
    heard: () =>
      [...known.values()]
        .flat()
        .map(
          ({ namespace, name, addresses, isNamesake }) =>
            `${namespace}/${name} ${addresses.join()}${isNamesake ? ' (second)' : ''}`,
        )
        .sort(),
    known,
  }
}

export type TestNode = Awaited<ReturnType<typeof startNode>>

/** A pod of a node: `2` is the second address of its subnet. */
export function podOf(node: TestNode, name: string, last: number, more: Partial<OwnPod> = {}): OwnPod {
  const [subnet = ''] = node.place.split('-')
  return {
    sandboxId: `${node.nodeName}-${name}`,
    namespace: 'default',
    name,
    addresses: [subnet.replace(/0$/, String(last))],
    annotations: {},
    ...more,
  }
}

const addresses = new Map<string, string>()

function addressOf(nodeName: string): string {
  const known = addresses.get(nodeName) ?? `198.51.100.${addresses.size + 1}`
  addresses.set(nodeName, known)
  return known
}
