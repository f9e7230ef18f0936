import { BlockList, isIPv4, isIPv6 } from 'node:net'
import { once } from '@podwire/api'
import { isWireguardKey } from '@podwire/netlink'
import * as z from 'zod/mini'
import { parseJson } from './parse-json.ts'
import { canonicalAddress } from './range.ts'

/** What a node tells the others of itself: the value of its lease. */
export interface NodeValue {
  /** Absent of nodes that run flannel, and of plain reservations. */
  readonly nodeName?: string
  /** Which daemon wrote it, over restarts of it. */
  readonly instance?: string
  readonly publicIP?: string
  readonly publicIPv6?: string
  readonly backendType: string
  /** The MAC address of its vxlan link, of each family's. */
  readonly vtepMac?: string
  readonly vtepMac6?: string
  /** The public key of its WireGuard link, of each family's: 32 bytes in base64. */
  readonly publicKey?: string
  readonly publicKey6?: string
}

/** Of a reservation that is for no node: flannel takes it for one whose backend is not its own. */
export const RESERVED = 'reserved'

const mac = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i

const schema = once(() => {
  const text = z.optional(z.nullable(z.string()))
  // Flannel writes null where its backend has nothing to say, and other backends write what they like.
  const backend = z.optional(z.unknown())
  return z.object({
    PublicIP: text,
    PublicIPv6: text,
    BackendType: text,
    BackendData: backend,
    BackendV6Data: backend,
    NodeName: z.optional(z.string().check(z.regex(/^[^\p{C}\s]{1,253}$/u))),
    Instance: z.optional(z.string().check(z.maxLength(64))),
  })
})

/** Reads the value of a lease, which anybody may have written. Undefined for what can't be a node's. */
export function parseNodeValue(value: string): NodeValue | undefined {
  const parsed = parseJson(schema(), value)
  if (typeof parsed === 'string') return undefined
  const { PublicIP, PublicIPv6, BackendType, BackendData, BackendV6Data, NodeName, Instance } = parsed.data
  const publicIP = addressOf(PublicIP, isIPv4, '0.0.0.0')
  const publicIPv6 = addressOf(PublicIPv6, isIPv6, '::')
  if (publicIP === null || publicIPv6 === null) return undefined
  if (publicIP === undefined && publicIPv6 === undefined && BackendType !== RESERVED) return undefined
  const [vtepMac, vtepMac6] = [vtepOf(BackendData), vtepOf(BackendV6Data)]
  const [publicKey, publicKey6] = [publicKeyOf(BackendData), publicKeyOf(BackendV6Data)]
  return {
    ...(NodeName === undefined ? {} : { nodeName: NodeName }),
    ...(Instance === undefined ? {} : { instance: Instance }),
    ...(publicIP === undefined ? {} : { publicIP }),
    ...(publicIPv6 === undefined ? {} : { publicIPv6 }),
    backendType: BackendType ?? '',
    ...(vtepMac === undefined ? {} : { vtepMac }),
    ...(vtepMac6 === undefined ? {} : { vtepMac6 }),
    ...(publicKey === undefined ? {} : { publicKey }),
    ...(publicKey6 === undefined ? {} : { publicKey6 }),
  }
}

/** What no other node has: packets for it would stay on this one, or go to a group. */
const nobodys = once(() => {
  const list = new BlockList()
  list.addSubnet('0.0.0.0', 8, 'ipv4')
  list.addSubnet('127.0.0.0', 8, 'ipv4')
  list.addSubnet('224.0.0.0', 3, 'ipv4')
  list.addAddress('::1', 'ipv6')
  list.addSubnet('ff00::', 8, 'ipv6')
  return list
})

/** Null for what can't be a node's address; undefined for none. */
function addressOf(text: string | null | undefined, isAddress: (text: string) => boolean, none: string) {
  if (text === undefined || text === null || text === '') return undefined
  if (!isAddress(text) || text.includes('%')) return null
  const address = canonicalAddress(text)
  if (address === none) return undefined
  return nobodys().check(address, isIPv4(address) ? 'ipv4' : 'ipv6') ? null : address
}

const noKey = Buffer.alloc(32).toString('base64')

function publicKeyOf(backend: unknown): string | undefined {
  const found = typeof backend === 'object' && backend !== null && 'PublicKey' in backend && backend.PublicKey
  return typeof found === 'string' && isWireguardKey(found) && found !== noKey ? found : undefined
}

function vtepOf(backend: unknown): string | undefined {
  const found = typeof backend === 'object' && backend !== null && 'VtepMAC' in backend && backend.VtepMAC
  // One station's: the kernel would send what it doesn't know otherwise to 00:00:00:00:00:00.
  const isOne =
    typeof found === 'string' && mac.test(found) && !/^(.[13579bdf]|00:00:00:00:00:00$)/i.test(found)
  return isOne ? found.toLowerCase() : undefined
}

/** The value of a lease, for flannel's nodes too. @param vni of the network, where its backend is vxlan */
export function formatNodeValue(node: NodeValue, vni?: number): string {
  const backendOf = (address: string | undefined, publicKey: string | undefined) => {
    if (publicKey !== undefined) return { PublicKey: publicKey }
    return address === undefined ? null : { VNI: vni, VtepMAC: address }
  }
  const [own, own6] = [backendOf(node.vtepMac, node.publicKey), backendOf(node.vtepMac6, node.publicKey6)]
  return JSON.stringify({
    PublicIP: node.publicIP ?? '0.0.0.0',
    PublicIPv6: node.publicIPv6 ?? null,
    BackendType: node.backendType,
    BackendData: own,
    ...(own6 === null ? {} : { BackendV6Data: own6 }),
    ...(node.nodeName === undefined ? {} : { NodeName: node.nodeName }),
    ...(node.instance === undefined ? {} : { Instance: node.instance }),
  })
}
