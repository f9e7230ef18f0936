import { readdirSync, statSync } from 'node:fs'
import { errnoOf } from '@podwire/api'
import { namesIn } from '@podwire/api/files'
import {
  addresses,
  conntrack,
  filters,
  links,
  NETLINK_NETFILTER,
  NETNS_DIR,
  type Netlink,
  neighbours,
  netnsId,
  openNetlink,
  qdiscs,
  routes,
} from '@podwire/netlink'
import { observeFirewall, tableOf, tablesOfHosts } from './observe-firewall.ts'
import { observeState } from './observe-state.ts'
import type { Observed, ObservedNamespace } from './observed.ts'

/**
 * Looks at the machine that this process is on, and changes nothing. Some ten milliseconds for half a dozen pods, as long
 * again for connections, and for who runs in which namespace.
 */
export function observe(
  stateDirs: readonly string[],
  { connections = true, processes = true } = {},
): Observed {
  using route = openNetlink()
  using netfilter = openNetlink({ protocol: NETLINK_NETFILTER })
  const found = route.runSync(links.list())
  const queues = route.runSync(qdiscs.list())
  return {
    links: found,
    addresses: route.runSync(addresses.list()),
    routes: route.runSync(routes.list()),
    neighbours: route.runSync(neighbours.list()),
    qdiscs: queues,
    redirects: redirectsOf(route, queues),
    tables: tablesOfHosts(netfilter),
    connections: connections ? netfilter.runSync(conntrack.list()) : [],
    namespaces: observeNamespaces(processes ? processesByNamespace() : new Map()),
    states: stateDirs.map((dir) => {
      const state = observeState(dir)
      return { ...state, firewall: state.id ? observeFirewall(netfilter, tableOf(state.id)) : undefined }
    }),
  }
}

function redirectsOf(route: Netlink, queues: Observed['qdiscs']): Map<number, number> {
  const leading = queues
    .filter(({ kind }) => kind === 'ingress')
    .flatMap(({ dev }) =>
      route
        .runSync(filters.list({ dev, parent: 'ffff:' }))
        .flatMap(({ redirect }) => (redirect === undefined ? [] : [[dev, redirect] as const])),
    )
  return new Map(leading)
}

function observeNamespaces(processes: ReadonlyMap<number, number[]>): ObservedNamespace[] {
  return namesIn(NETNS_DIR).map((name) => {
    const path = `${NETNS_DIR}/${name}`
    const nothing = { path, links: [], addresses: [], routes: [], neighbours: [], processes: [] }
    try {
      const id = netnsId(path)
      using inside = openNetlink({ netns: path })
      return {
        path,
        id,
        links: inside.runSync(links.list()),
        addresses: inside.runSync(addresses.list()),
        routes: inside.runSync(routes.list()),
        neighbours: inside.runSync(neighbours.list()),
        processes: processes.get(id.ino) ?? [],
      }
    } catch (error) {
      if (errnoOf(error) === 'ERR_NOT_NETNS') return nothing
      throw error
    }
  })
}

/** Inode of a namespace → the processes in it. All of them are of one file system, so that the inode says which it is. */
function processesByNamespace(): Map<number, number[]> {
  const found = new Map<number, number[]>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      const { ino } = statSync(`/proc/${name}/ns/net`)
      found.set(ino, [...(found.get(ino) ?? []), Number(name)])
    } catch {
      // It has ended.
    }
  }
  return found
}
