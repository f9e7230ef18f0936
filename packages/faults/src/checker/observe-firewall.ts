import { errnoOf, type PortMapping } from '@podwire/api'
import type { Netlink } from '@podwire/netlink'
import { type Element, elements, rules, type TableRef } from '@podwire/netlink/nftables'
import { decodeIp } from '@podwire/netlink/transport'
import type { ObservedFirewall, PublishedPort } from './observed.ts'

export const TABLE: TableRef = { family: 'inet', table: 'podwire' }

const protocols: Readonly<Record<number, PortMapping['protocol']>> = { 6: 'tcp', 17: 'udp', 132: 'sctp' }

/** Undefined where there is no table. */
export function observeFirewall(netfilter: Netlink): ObservedFirewall | undefined {
  try {
    const ports = (['', 'address-'] as const).flatMap((kind) =>
      ([4, 6] as const).flatMap((family) =>
        netfilter
          .runSync(elements.list({ ...TABLE, set: `${kind}ports${family}` }))
          .map((element) => parsePort(element, kind === '' ? 0 : family === 4 ? 4 : 16)),
      ),
    )
    return { rules: netfilter.runSync(rules.count(TABLE)), ports }
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
