import type { LinkRef, Request, Scope } from '../socket/request.ts'
import { text, u8, u32 } from '../wire/bytes.ts'
import * as c from '../wire/constants.ts'
import { AF_UNSPEC, encodeIp, encodePrefix, type Family, familyValue } from '../wire/ip.ts'
import { type Address, decodeAddress, encodeAddress } from './address.ts'
import { ADD, change, dump, isOf, REPLACE } from './request.ts'
import { type RouteScope, scopeValue } from './route.ts'

export interface NewAddress {
  dev: LinkRef
  /** With prefix length: `10.0.0.1/24`, `fd00::1/64`. */
  address: string
  /** The other end of a point-to-point link, without prefix. */
  peer?: string
  /** IPv4 only. */
  broadcast?: string
  /** IPv4 only: the link's name, or `NAME:…`. */
  label?: string
  /** Default: `global`; IPv6 finds its own. */
  scope?: RouteScope
  /** Usable at once, without duplicate address detection. */
  noDad?: boolean
  /** Make no route to the prefix. */
  noPrefixRoute?: boolean
  /** Who gives it: a number that the kernel keeps, since Linux 5.18, and `ip address` shows. */
  protocol?: number
  /** In seconds; by default for ever. */
  validLifetime?: number
  preferredLifetime?: number
}

/** Gives a link an address. Errors: `EEXIST`, `ENODEV`. */
export const add = (address: NewAddress): Request<void> => assign('add', address, ADD)

/** The same where it may be there already. */
export const replace = (address: NewAddress): Request<void> => assign('replace', address, REPLACE)

/** Takes an address from a link. Errors: `EADDRNOTAVAIL` when the link doesn't have it, `ENODEV`. */
export function del(address: Pick<NewAddress, 'dev' | 'address' | 'peer'>): Request<void> {
  return change(words('delete', address), c.RTM_DELADDR, 0, (scope) => encode(address, scope))
}

/** The addresses of all links or of one, of both families or one. */
export function list({ dev, family }: { dev?: LinkRef; family?: Family } = {}): Request<Address[]> {
  return dump(
    'list addresses',
    [c.RTM_GETADDR, c.RTM_NEWADDR],
    (scope) =>
      encodeAddress({
        family: family ? familyValue(family) : AF_UNSPEC,
        index: dev === undefined ? 0 : scope.index(dev),
      }),
    decodeAddress,
    (address, scope) => isOf(dev, address.dev, scope) && (!family || address.family === family),
  )
}

function assign(verb: string, address: NewAddress, flags: number): Request<void> {
  return change(words(verb, address), c.RTM_NEWADDR, flags, (scope) => encode(address, scope))
}

function encode(address: NewAddress, scope: Scope): Buffer {
  const { family, bytes, length } = encodePrefix(address.address)
  const { peer, label, broadcast, protocol, validLifetime, preferredLifetime } = address
  const flags = (address.noDad ? c.IFA_F_NODAD : 0) | (address.noPrefixRoute ? c.IFA_F_NOPREFIXROUTE : 0)
  const header = {
    family,
    prefixLength: length,
    scope: scopeValue(address.scope ?? 'global'),
    index: scope.index(address.dev),
  }
  return encodeAddress(header, [
    [c.IFA_LOCAL, bytes],
    [c.IFA_ADDRESS, peer === undefined ? bytes : encodeIp(peer)],
    [c.IFA_BROADCAST, broadcast === undefined ? undefined : encodeIp(broadcast)],
    [c.IFA_LABEL, label === undefined ? undefined : text(label)],
    [c.IFA_FLAGS, flags ? u32(flags) : undefined],
    [c.IFA_PROTO, protocol === undefined ? undefined : u8(protocol)],
    [c.IFA_CACHEINFO, lifetimes(preferredLifetime, validLifetime)],
  ])
}

// struct ifa_cacheinfo: both lifetimes, then two times that only the kernel fills.
function lifetimes(preferred = 0xffffffff, valid = 0xffffffff): Buffer | undefined {
  if (preferred === 0xffffffff && valid === 0xffffffff) return undefined
  return Buffer.concat([u32(Math.min(preferred, valid)), u32(valid), u32(0), u32(0)])
}

const words = (verb: string, { address, dev }: Pick<NewAddress, 'dev' | 'address'>) =>
  `${verb} address ${address} of link ${dev}`
