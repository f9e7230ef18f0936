import { errnoOf, type PortMapping } from '@podwire/api'
import type { Netlink } from '@podwire/netlink'
import { type Element, elements, rules, type TableRef, tables } from '@podwire/netlink/nftables'
import { decodeIp } from '@podwire/netlink/transport'
import type { ObservedFirewall, PublishedPort } from './observed.ts'

/** The inet table of the host whose state directory has this id. */
export const tableOf = (stateId: string): TableRef => ({
  family: 'inet',
  table: `podwire-${stateId.slice(0, 8)}`,
})

/** The tables of all hosts of this machine. */
export const tablesOfHosts = (netfilter: Netlink): string[] =>
  netfilter
    .runSync(tables.list())
    .filter(({ family, table }) => family === 'inet' && table.startsWith('podwire'))
    .map(({ table }) => table)

const protocols: Readonly<Record<number, PortMapping['protocol']>> = { 6: 'tcp', 17: 'udp', 132: 'sctp' }
/** Of the element that is in each map from its beginning. */
const SENTINEL = 255

const maps = (['', 'address-'] as const).flatMap((kind) =>
  ([4, 6] as const).map((family) => ({
    map: `${kind}ports${family}`,
    addressBytes: kind === '' ? 0 : family === 4 ? 4 : 16,
  })),
)

/** Undefined where there is no table. */
export function observeFirewall(netfilter: Netlink, table: TableRef): ObservedFirewall | undefined {
  try {
    const found = maps.map(({ map, addressBytes }) => {
      const all = netfilter.runSync(elements.list({ ...table, set: map }))
      const isSentinel = ({ key }: Element) => key[addressBytes] === SENTINEL
      return {
        map,
        isFlushed: !all.some(isSentinel),
        ports: all.filter((one) => !isSentinel(one)).map((one) => parsePort(one, addressBytes)),
      }
    })
    return {
      rules: netfilter.runSync(rules.count(table)),
      flushed: found.filter(({ isFlushed }) => isFlushed).map(({ map }) => map),
      ports: found.flatMap(({ ports }) => ports),
    }
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

// Each field takes a multiple of four bytes: [address] protocol port → address port.
function parsePort({ key, value }: Element, addressBytes: number): PublishedPort {
  const from = Buffer.from(key)
  const to = value instanceof Uint8Array ? Buffer.from(value) : Buffer.alloc(8)
  return {
    ...(addressBytes > 0 ? { hostIP: decodeIp(from.subarray(0, addressBytes)) } : {}),
    protocol: protocols[from[addressBytes] ?? 0] ?? 'tcp',
    hostPort: from.readUInt16BE(addressBytes + 4),
    address: decodeIp(to.subarray(0, -4)),
    containerPort: to.readUInt16BE(to.length - 4),
  }
}
