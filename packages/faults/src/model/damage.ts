import { errnoOf } from '@podwire/api'
import { readFileIfThere } from '@podwire/api/files'
import { createSandboxStore } from '@podwire/core'
import {
  addresses,
  links,
  NETLINK_NETFILTER,
  neighbours,
  openNetlink,
  qdiscs,
  routes,
} from '@podwire/netlink'
import { type Change, elements, rules, tables, transaction } from '@podwire/netlink/nftables'
import { tableOf } from '../checker/observe-firewall.ts'
import type { Place } from './state.ts'

/** What somebody else may do to what all pods share, and what of it that damages. */
export const sharedDamages = {
  'delete table': 'firewall',
  'flush rules': 'firewall',
  'flush port maps': 'firewall',
  'delete bridge': 'network',
  'flush bridge': 'network',
  'bridge down': 'network',
  'flush gateways': 'network',
} as const
/** What somebody else, or the pod itself, may do to one pod. */
export const podDamages = [
  'delete link',
  'link down',
  'link off the bridge',
  'flush routes to it',
  'flush its neighbours',
  'flush addresses',
  'delete default routes',
  'delete limits',
] as const

export type SharedDamage = keyof typeof sharedDamages
export type PodDamage = (typeof podDamages)[number]

const maps = ['ports4', 'ports6', 'address-ports4', 'address-ports6']

export function damageShared({ stateDir, bridge, gateways }: Place, damage: SharedDamage): void {
  using route = openNetlink()
  const table = tableOf(readFileIfThere(`${stateDir}/plugins/kubenet/id`) ?? '')
  const damages: Record<SharedDamage, () => void> = {
    'delete table': () => changeFirewall([tables.del(table)]),
    'flush rules': () => changeFirewall([rules.del({ ...table, chain: 'raw' })]),
    'flush port maps': () => changeFirewall(maps.map((set) => elements.flush({ ...table, set }))),
    'delete bridge': () => route.runSync(links.del(bridge)),
    'bridge down': () => route.runSync(links.set(bridge, { up: false })),
    'flush bridge': () => {
      for (const { address } of route.runSync(addresses.list({ dev: bridge })))
        if (!address.startsWith('fe80:')) route.runSync(addresses.del({ dev: bridge, address }))
    },
    'flush gateways': () => {
      const own = gateways.map((gateway) => gateway.replace(/\/.*/, ''))
      for (const { address } of route.runSync(addresses.list({ dev: 'lo' })))
        if (own.includes(address.replace(/\/.*/, ''))) route.runSync(addresses.del({ dev: 'lo', address }))
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
    'flush routes to it': () => {
      for (const { destination } of route.runSync(routes.list({ dev: host })))
        if (!/^(fe80:|ff)/.test(destination)) route.runSync(routes.del({ destination, dev: host }))
    },
    'flush its neighbours': () => {
      for (const { address, state } of route.runSync(neighbours.list({ dev: host })))
        if (state === 'permanent') route.runSync(neighbours.del({ dev: host, address }))
    },
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

function changeFirewall(changes: readonly Change[]): void {
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
