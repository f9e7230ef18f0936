import { type Attribute, decodeAttributes, encodeAttributes, optional, present } from '../wire/attributes.ts'
import { readI32, readU8, readU16, slice } from '../wire/bytes.ts'
import * as c from '../wire/constants.ts'
import { AF_BRIDGE, decodeIp, decodeMac, type Family, familyName } from '../wire/ip.ts'
import type { Message } from '../wire/message.ts'

export type NeighbourState =
  | 'incomplete'
  | 'reachable'
  | 'stale'
  | 'delay'
  | 'probe'
  | 'failed'
  | 'noarp'
  | 'permanent'
  | 'none'

/** Who has an address on a link. */
export interface Neighbour {
  family: Family
  /** Index of the link. */
  dev: number
  address: string
  /** MAC address. */
  lladdr?: string
  state: NeighbourState
  router: boolean
  /** An address this machine answers for. */
  proxy: boolean
}

const states: Record<string, number> = {
  none: 0,
  incomplete: 0x1,
  reachable: 0x2,
  stale: 0x4,
  delay: 0x8,
  probe: 0x10,
  failed: 0x20,
  noarp: 0x40,
  permanent: 0x80,
}
const stateNames = new Map(Object.entries(states).map(([name, value]) => [value, name as NeighbourState])) // the keys above

export const neighbourStateValue = (state: NeighbourState) => states[state]!

/** struct ndmsg and the attributes after it. */
export function encodeNeighbour(
  {
    family = 0,
    index = 0,
    state = 0,
    flags = 0,
  }: { family?: number; index?: number; state?: number; flags?: number },
  attributes: readonly Attribute[] = [],
): Buffer {
  const bytes = Buffer.alloc(12)
  bytes.writeUInt8(family, 0)
  bytes.writeInt32LE(index, 4)
  bytes.writeUInt16LE(state, 8)
  bytes.writeUInt8(flags, 10)
  return encodeAttributes(attributes, bytes)
}

export function decodeNeighbour({ body }: Message): Neighbour {
  slice(body, 0, 12)
  const attributes = decodeAttributes(body, 12)
  const flags = readU8(body, 10)
  return present({
    family: familyName(readU8(body)),
    dev: readI32(body, 4),
    // A bridge's forwarding entries have a MAC address and at most a tunnel's end.
    address: (readU8(body) === AF_BRIDGE ? undefined : optional(attributes, c.NDA_DST, decodeIp)) ?? '',
    lladdr: optional(attributes, c.NDA_LLADDR, decodeMac),
    state: stateNames.get(readU16(body, 8)) ?? 'none',
    router: (flags & c.NTF_ROUTER) !== 0,
    proxy: (flags & c.NTF_PROXY) !== 0,
  })
}
