import { errnoOf } from '@podwire/api'
import { createSandboxStore } from '@podwire/core'
import {
  addresses,
  links,
  NETLINK_NETFILTER,
  openNetlink,
  qdiscs,
  type Request,
  routes,
} from '@podwire/netlink'
import { elements, tables, transaction } from '@podwire/netlink/nftables'
import { TABLE } from '../checker/observe-firewall.ts'
import type { Place } from './state.ts'

/** What somebody else may do to what all pods share. */
export const sharedDamages = [
  'flush nft',
  'unpublish all',
  'delete bridge',
  'flush bridge',
  'bridge down',
] as const
/** What somebody else, or the pod itself, may do to one pod. */
export const podDamages = [
  'delete link',
  'link down',
  'link off the bridge',
  'flush addresses',
  'delete default routes',
  'delete limits',
] as const

const portMaps = ['ports4', 'ports6', 'address-ports4', 'address-ports6']

export type SharedDamage = (typeof sharedDamages)[number]
export type PodDamage = (typeof podDamages)[number]

export function damageShared(place: Place, damage: SharedDamage): void {
  if (damage === 'flush nft') return flush(() => [tables.del(TABLE)])
  if (damage === 'unpublish all') return flush(() => portMaps.map((set) => elements.flush({ ...TABLE, set })))
  using route = openNetlink()
  const { bridge } = place.datapath
  if (damage === 'delete bridge') return quietly(() => route.runSync(links.del(bridge)))
  if (damage === 'bridge down') return quietly(() => route.runSync(links.set(bridge, { up: false })))
  quietly(() => {
    for (const { address } of route.runSync(addresses.list({ dev: bridge })))
      if (!address.startsWith('fe80:')) route.runSync(addresses.del({ dev: bridge, address }))
  })
}

/** Of a pod that may be there or not. */
export function damagePod(place: Place, pod: string, damage: PodDamage): void {
  const record = createSandboxStore(place.stateDir).find({ namespace: place.namespace, name: pod })
  if (!record) return
  using route = openNetlink()
  const own = route.runSync(links.list()).filter(({ alias }) => alias?.endsWith(` ${place.namespace}/${pod}`))
  const host = own.find(({ kind }) => kind === 'veth')
  const onHost = (change: (index: number) => Request<void>) =>
    quietly(() => host && route.runSync(change(host.index)))
  if (damage === 'delete link') return onHost(links.del)
  if (damage === 'link down') return onHost((index) => links.set(index, { up: false }))
  if (damage === 'link off the bridge') return onHost((index) => links.set(index, { master: null }))
  if (damage === 'delete limits') {
    for (const { index } of own) quietly(() => route.runSync(qdiscs.del({ dev: index })))
    return onHost((index) => qdiscs.del({ dev: index, parent: 'ingress' }))
  }
  quietly(() => {
    using inside = openNetlink({ netns: record.pod.netns })
    if (damage === 'flush addresses')
      for (const { address } of inside.runSync(addresses.list({ dev: 'eth0' })))
        inside.runSync(addresses.del({ dev: 'eth0', address }))
    else
      for (const { destination, gateway, family } of inside.runSync(routes.list({ dev: 'eth0' })))
        if (destination === 'default' && gateway)
          quietly(() => inside.runSync(routes.del({ destination, gateway, dev: 'eth0', family })))
  })
}

function flush(changes: () => Parameters<typeof transaction>[0]) {
  using netfilter = openNetlink({ protocol: NETLINK_NETFILTER })
  quietly(() => netfilter.batchSync(transaction(changes())))
}

/** What isn't there can't be damaged. */
function quietly(act: () => unknown): void {
  try {
    act()
  } catch (error) {
    if (errnoOf(error) === undefined) throw error
  }
}
