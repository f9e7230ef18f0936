import { errnoOf } from '@podwire/api'
import { createSandboxStore } from '@podwire/core'
import { addresses, links, NETLINK_NETFILTER, openNetlink, qdiscs, routes } from '@podwire/netlink'
import { tables, transaction } from '@podwire/netlink/nftables'
import { TABLE } from '../checker/observe-firewall.ts'
import type { Place } from './state.ts'

/** What somebody else may do to what all pods share. */
export const sharedDamages = ['flush nft', 'delete bridge', 'flush bridge', 'bridge down'] as const
/** What somebody else, or the pod itself, may do to one pod. */
export const podDamages = [
  'delete link',
  'link down',
  'link off the bridge',
  'flush addresses',
  'delete default routes',
  'delete limits',
] as const

export type SharedDamage = (typeof sharedDamages)[number]
export type PodDamage = (typeof podDamages)[number]

export function damageShared({ datapath: { bridge } }: Place, damage: SharedDamage): void {
  using route = openNetlink()
  const damages: Record<SharedDamage, () => void> = {
    'flush nft': () => changeFirewall([tables.del(TABLE)]),
    'delete bridge': () => route.runSync(links.del(bridge)),
    'bridge down': () => route.runSync(links.set(bridge, { up: false })),
    'flush bridge': () => {
      for (const { address } of route.runSync(addresses.list({ dev: bridge })))
        if (!address.startsWith('fe80:')) route.runSync(addresses.del({ dev: bridge, address }))
    },
  }
  quietly(damages[damage])
}

/** Of a pod that may be there or not. */
export function damagePod(place: Place, pod: string, damage: PodDamage): void {
  const record = createSandboxStore(place.stateDir).find({ namespace: place.namespace, name: pod })
  if (!record) return
  using route = openNetlink()
  const own = route.runSync(links.list()).filter(({ alias }) => alias?.endsWith(` ${place.namespace}/${pod}`))
  const host = own.find(({ kind }) => kind === 'veth')?.index ?? 0
  const damages: Record<PodDamage, () => void> = {
    'delete link': () => route.runSync(links.del(host)),
    'link down': () => route.runSync(links.set(host, { up: false })),
    'link off the bridge': () => route.runSync(links.set(host, { master: null })),
    'delete limits': () => {
      for (const { index } of own) quietly(() => route.runSync(qdiscs.del({ dev: index })))
      route.runSync(qdiscs.del({ dev: host, parent: 'ingress' }))
    },
    'flush addresses': () => {
      using inside = openNetlink({ netns: record.pod.netns })
      for (const { address } of inside.runSync(addresses.list({ dev: 'eth0' })))
        inside.runSync(addresses.del({ dev: 'eth0', address }))
    },
    'delete default routes': () => {
      using inside = openNetlink({ netns: record.pod.netns })
      for (const { destination, gateway } of inside.runSync(routes.list({ dev: 'eth0' })))
        if (destination === 'default' && gateway)
          quietly(() => inside.runSync(routes.del({ destination, gateway, dev: 'eth0' })))
    },
  }
  quietly(damages[damage])
}

function changeFirewall(changes: Parameters<typeof transaction>[0]): void {
  using netfilter = openNetlink({ protocol: NETLINK_NETFILTER })
  netfilter.batchSync(transaction(changes))
}

/** What isn't there can't be damaged. */
function quietly(act: () => unknown): void {
  try {
    act()
  } catch (error) {
    if (errnoOf(error) === undefined) throw error
  }
}
