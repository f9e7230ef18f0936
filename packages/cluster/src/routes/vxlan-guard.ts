import { hash } from 'node:crypto'
import { errnoOf, type Logger, messageOf } from '@podwire/api'
import { NETLINK_NETFILTER, openNetlink } from '@podwire/netlink'
import {
  chains,
  drop,
  type Expression,
  elements,
  equals,
  header,
  isIn,
  meta,
  payload,
  priorities,
  rules,
  type SetRef,
  sets,
  tables,
  transaction,
} from '@podwire/netlink/nftables'
import { be16, encodeIp, u8 } from '@podwire/netlink/transport'
import {
  firstAddress,
  type IpFamily,
  isWithin,
  lastAddress,
  parseSubnet,
  type Subnet,
} from '../layout/range.ts'
import { isWireguard } from './cluster-link.ts'
import type { Wanted } from './wanted.ts'

/**
 * What keeps pods from speaking to the port by which nodes carry each other's packets. A kernel takes what comes there for another
 * node's, whoever sent it: a pod could send as any pod of another node, to pods here, and, as this node translates its address, to
 * those of other nodes. Nodes have no addresses of pods' networks, and speak to others from none of a single link, which each pod has.
 */
export interface VxlanGuard {
  /** @param isLook somebody may have taken it away. Where the kernel has none, that is told, and packets go on */
  ensure(wanted: Wanted, isLook: boolean): Promise<void>
  remove(): Promise<void>
  close(): void
}

const table = { family: 'inet', table: 'podwire-vxlan' } as const
const chain = { ...table, chain: 'from-pods' }
const nfproto = { 4: u8(2), 6: u8(10) } as const
const IPPROTO_UDP = u8(17)
const families = [4, 6] as const

const linkLocal = ['169.254.0.0/16', 'fe80::/10'].flatMap((one) => parseSubnet(one) ?? [])

const setOf = (family: IpFamily) => `pods${family}`

const fromPods = (family: IpFamily, port: number): Expression[] => [
  meta('nfproto'),
  equals(nfproto[family]),
  payload(family === 4 ? header.ip.saddr : header.ip6.saddr),
  isIn(setOf(family)),
  meta('l4proto'),
  equals(IPPROTO_UDP),
  payload(header.th.dport),
  equals(be16(port)),
  drop,
]

/** In order, none within another one. */
function rangesOf(networks: readonly Subnet[], family: IpFamily): (readonly [first: string, last: string])[] {
  const found: Subnet[] = []
  const own = networks.filter((network) => network.family === family)
  for (const network of own.sort(byFirstAndSize)) {
    const before = found.at(-1)
    if (!before || !isWithin(network, before)) found.push(network)
  }
  return found.map((network) => [firstAddress(network), lastAddress(network)])
}

const byFirstAndSize = (one: Subnet, other: Subnet) =>
  one.first === other.first ? one.prefixLength - other.prefixLength : one.first < other.first ? -1 : 1

export function openVxlanGuard(log: Logger): VxlanGuard {
  const netlink = openNetlink({ protocol: NETLINK_NETFILTER })
  /** What was put there last; false: there is none. */
  let there: string | undefined | false
  let isTold = false

  async function isIntact(comment: string, count: number): Promise<boolean> {
    try {
      return (
        (await netlink.run(tables.get(table))).comment === comment &&
        (await netlink.run(rules.count(chain))) === count
      )
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return false
      throw error
    }
  }

  async function put(networks: readonly Subnet[], ports: readonly number[], isLook: boolean) {
    const sources = [...networks, ...linkLocal]
    const ranges = { 4: rangesOf(sources, 4), 6: rangesOf(sources, 6) }
    const comment = hash('sha256', [ranges[4], ranges[6], ports].join(' '))
    const own = ports.flatMap((port) => families.map((family) => fromPods(family, port)))
    if (comment === there && (!isLook || (await isIntact(comment, own.length)))) return
    there = undefined
    await netlink.batch(
      transaction([
        tables.add(table),
        tables.del(table),
        tables.add(table, { comment }),
        chains.add(chain, { base: { type: 'filter', hook: 'prerouting', priority: priorities.raw } }),
        ...families.flatMap((family) => {
          const set: SetRef = { ...table, set: setOf(family) }
          return [
            sets.add(set, { key: family === 4 ? 'ipv4_addr' : 'ipv6_addr', interval: true }),
            ...elements.add(
              set,
              ranges[family].flatMap(([first, last]) => elements.range(encodeIp(first), encodeIp(last))),
            ),
          ]
        }),
        ...own.map((rule) => rules.add(chain, rule)),
      ]),
    )
    there = comment
  }

  async function remove() {
    try {
      await netlink.batch(transaction([tables.del(table)]))
    } catch (error) {
      if (!NO_TABLE.has(errnoOf(error) ?? '')) throw error
    }
    there = false
  }

  return {
    async ensure({ links, networks }, isLook) {
      // A node that is fenced has pods still, and other nodes take what it sends for its own.
      if (networks.length === 0) return
      const ports = [...new Set(links.flatMap((link) => (isWireguard(link) ? [] : [link.port])))]
      try {
        if (ports.length > 0) await put(networks, ports, isLook)
        else if (there !== false) await remove()
      } catch (error) {
        if (!isTold)
          log.warn(`cluster: nothing keeps pods from sending to the port of vxlan: ${messageOf(error)}`)
        isTold = true
      }
    },
    remove,
    close: () => netlink.close(),
  }
}

const NO_TABLE = new Set(['ENOENT', 'EAFNOSUPPORT', 'EOPNOTSUPP'])

/** Of a daemon before, whose node was part of a cluster. */
export async function removeVxlanGuard(log: Logger): Promise<void> {
  const guard = openVxlanGuard(log)
  await guard.remove().finally(() => guard.close())
}
