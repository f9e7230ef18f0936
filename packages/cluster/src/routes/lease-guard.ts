import { errnoOf, type Logger, messageOf } from '@podwire/api'
import { NETLINK_NETFILTER, openNetlink } from '@podwire/netlink'
import {
  between,
  chains,
  drop,
  type Element,
  type Expression,
  elements,
  equals,
  header,
  isIn,
  isNotIn,
  linkName,
  meta,
  payload,
  priorities,
  rules,
  type SetRef,
  sets,
  tables,
  transaction,
} from '@podwire/netlink/nftables'
import { encodeIp } from '@podwire/netlink/transport'
import type { Backend } from '../layout/network.ts'
import { firstAddress, lastAddress, type Subnet } from '../layout/range.ts'
import { linkNamesOf } from './cluster-link.ts'

/**
 * What lets pods' packets out to other nodes' pods, in the kernel: for as long as the lease lasts, and whatever became of the daemon.
 * One that hangs, or was killed and never came back, can't withdraw its routes.
 */
export interface LeaseGuard {
  /**
   * @param networks what all nodes' pods have
   * @param how `link`: the node's own, that leads to the others; `ms`: from now on, Infinity until it is shut
   */
  open(
    networks: readonly Subnet[],
    how: { readonly backend: Backend; readonly link: string; readonly ms: number },
  ): void
  /** Lets nothing out until it is opened. */
  shut(): void
  /** Takes it away: nothing is looked at any more. */
  remove(): void
  /** Resolves when what was asked is done. It stays in the kernel. */
  close(): Promise<void>
}

const table = { family: 'inet', table: 'podwire-cluster' } as const
const chain = { ...table, chain: 'forward' }
const alive: SetRef = { ...table, set: 'alive' }
const ways: SetRef = { ...table, set: 'ways' }
/** As the kernel tells protocols of packets: IPv4 and IPv6. */
const protocols = { 4: Buffer.from([0x08, 0x00]), 6: Buffer.from([0x86, 0xdd]) } as const
/** More than a timeout may be; a daemon that lives renews its lease long before. */
const mostMs = 2 ** 31

export function openLeaseGuard(log: Logger): LeaseGuard {
  const netlink = openNetlink({ protocol: NETLINK_NETFILTER })
  let last: Promise<void> = Promise.resolve()
  let hasFailed = false

  const ask = (...[steps]: Parameters<typeof transaction>) => {
    last = last
      .then(async () => void (await netlink.batch(transaction(steps))))
      .catch((error: unknown) => {
        if (errnoOf(error) === 'ENOENT') return
        if (!hasFailed)
          log.warn(
            `cluster: the kernel is not told when the lease ends, and forwards on if this daemon hangs: ${messageOf(error)}`,
          )
        hasFailed = true
      })
  }

  return {
    open(networks, { backend, link, ms }) {
      const timeout = Number.isFinite(ms) ? { timeout: Math.min(mostMs, Math.max(1, Math.floor(ms))) } : {}
      const links = [link, ...linkNamesOf(backend)]
      const both = Object.values(protocols).map((key): Element => ({ key, ...timeout }))
      ask([
        // Made anew as a whole, in one step: so it is as it should be, whoever changed it.
        tables.add(table),
        tables.del(table),
        tables.add(table),
        sets.add(alive, { key: 'ether_type', timeout: 0 }),
        sets.add(ways, { key: 'ifname' }),
        chains.add(chain, { base: { type: 'filter', hook: 'forward', priority: priorities.filter - 10 } }),
        elements.add(
          ways,
          links.map((name) => ({ key: linkName(name) })),
        ),
        elements.add(alive, both),
        ...networks.map((network) => rules.add(chain, [...toOther(network), isNotIn('alive'), drop])),
      ])
    },
    shut: () => ask([elements.flush(alive)]),
    remove: () => ask([tables.del(table)]),
    async close() {
      await last
      netlink.close()
    },
  }
}

/** Of a daemon before, whose pod CIDR came from an etcd: where it does not, it has no end. */
export async function removeLeaseGuard(log: Logger): Promise<void> {
  const guard = openLeaseGuard(log)
  guard.remove()
  await guard.close()
}

/** Goes on where a packet goes to a pod of the network by a way that leads to other nodes; the protocol is loaded at last. */
function toOther(network: Subnet): Expression[] {
  const { family } = network
  const daddr = family === 4 ? header.ip.daddr : header.ip6.daddr
  return [
    meta('protocol'),
    equals(protocols[family]),
    payload(daddr),
    between(encodeIp(firstAddress(network)), encodeIp(lastAddress(network))),
    meta('oifname'),
    isIn('ways'),
    meta('protocol'),
  ]
}
