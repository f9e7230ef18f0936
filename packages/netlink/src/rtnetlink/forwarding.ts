import type { LinkRef, Request, Scope } from '../socket/request.ts'
import { decodeAttributes, optional, present } from '../wire/attributes.ts'
import { readI32, readU8, readU16, slice } from '../wire/bytes.ts'
import * as c from '../wire/constants.ts'
import { AF_BRIDGE, decodeIp, decodeMac, encodeIp, encodeMac } from '../wire/ip.ts'
import type { Message } from '../wire/message.ts'
import { encodeNeighbour, neighbourStateValue } from './neighbour.ts'
import { ADD, change, dump, isOf, REPLACE } from './request.ts'

/** Where a link sends frames for a MAC address: what `bridge fdb` shows. */
export interface ForwardingEntry {
  /** Index of the link. */
  dev: number
  /** MAC address. */
  lladdr: string
  /** Of a vxlan link: the tunnel's other end. */
  destination?: string
  /** It stays until it is deleted. */
  permanent: boolean
}

export interface NewForwardingEntry {
  dev: LinkRef
  /** MAC address. */
  lladdr: string
  /** Of a vxlan link: the tunnel's other end. */
  destination?: string
}

/** Makes a forwarding entry, which stays until it is deleted. Errors: `EEXIST`, `ENODEV`. */
export const add = (entry: NewForwardingEntry): Request<void> => install('add', entry, ADD)

/** The same where one for that MAC address may be there already. */
export const replace = (entry: NewForwardingEntry): Request<void> => install('replace', entry, REPLACE)

/** Deletes a forwarding entry. Errors: `ENOENT`, `ENODEV`. */
export function del(entry: NewForwardingEntry): Request<void> {
  return change(words('delete', entry), c.RTM_DELNEIGH, 0, (scope) => encode(entry, scope))
}

/** The forwarding entries of all links or of one. */
export function list({ dev }: { dev?: LinkRef } = {}): Request<ForwardingEntry[]> {
  return dump(
    'list forwarding entries',
    [c.RTM_GETNEIGH, c.RTM_NEWNEIGH],
    (scope) => encodeNeighbour({ family: AF_BRIDGE, index: dev === undefined ? 0 : scope.index(dev) }),
    decodeEntry,
    (entry, scope) => isOf(dev, entry.dev, scope),
  )
}

function install(verb: string, entry: NewForwardingEntry, flags: number): Request<void> {
  return change(words(verb, entry), c.RTM_NEWNEIGH, flags, (scope) => encode(entry, scope))
}

function encode({ dev, lladdr, destination }: NewForwardingEntry, scope: Scope): Buffer {
  const header = {
    family: AF_BRIDGE,
    index: scope.index(dev),
    state: neighbourStateValue('permanent'),
    // The link's own table, not that of a bridge above it.
    flags: c.NTF_SELF,
  }
  return encodeNeighbour(header, [
    [c.NDA_LLADDR, encodeMac(lladdr)],
    [c.NDA_DST, destination === undefined ? undefined : encodeIp(destination)],
  ])
}

function decodeEntry({ body }: Message): ForwardingEntry {
  slice(body, 0, 12)
  const attributes = decodeAttributes(body, 12)
  return present({
    dev: readI32(body, 4),
    lladdr: optional(attributes, c.NDA_LLADDR, decodeMac) ?? '',
    destination: optional(attributes, c.NDA_DST, decodeIp),
    permanent: (readU16(body, 8) & neighbourStateValue('permanent')) !== 0 && readU8(body) === AF_BRIDGE,
  })
}

const words = (verb: string, { lladdr, dev }: NewForwardingEntry) =>
  `${verb} forwarding entry ${lladdr} of link ${dev}`
