import type { LinkRef, Request, Scope } from '../socket/request.ts'
import { u32 } from '../wire/bytes.ts'
import * as c from '../wire/constants.ts'
import { AF_UNSPEC, encodeIp, encodeMac, type Family, familyOf, familyValue } from '../wire/ip.ts'
import {
  decodeNeighbour,
  encodeNeighbour,
  type Neighbour,
  type NeighbourState,
  neighbourStateValue,
} from './neighbour.ts'
import { ADD, change, dump, isOf, REPLACE } from './request.ts'

export interface NewNeighbour {
  dev: LinkRef
  address: string
  /** MAC address. */
  lladdr?: string
  /** Default: `permanent`. */
  state?: NeighbourState
  router?: boolean
  /** Answer for this address. */
  proxy?: boolean
}

/** Makes a neighbour entry. Errors: `EEXIST`, `ENODEV`. */
export const add = (neighbour: NewNeighbour): Request<void> => install('add', neighbour, ADD)

/** The same where one may be there already. */
export const replace = (neighbour: NewNeighbour): Request<void> => install('replace', neighbour, REPLACE)

/** Deletes a neighbour entry. Errors: `ENOENT`, `ENODEV`. */
export function del(neighbour: Pick<NewNeighbour, 'dev' | 'address' | 'proxy'>): Request<void> {
  return change(words('delete', neighbour), c.RTM_DELNEIGH, 0, (scope) => encode(neighbour, scope))
}

/** The neighbours of all links or of one, of both families or one. Entries to answer for are not among them. */
export function list({ dev, family }: { dev?: LinkRef; family?: Family } = {}): Request<Neighbour[]> {
  return dump(
    'list neighbours',
    [c.RTM_GETNEIGH, c.RTM_NEWNEIGH],
    (scope) =>
      encodeNeighbour({ family: family ? familyValue(family) : AF_UNSPEC }, [
        [c.NDA_IFINDEX, dev === undefined ? undefined : u32(scope.index(dev))],
      ]),
    decodeNeighbour,
    // Bridges keep their forwarding tables here too, without IP addresses.
    (neighbour, scope) =>
      neighbour.address !== '' && isOf(dev, neighbour.dev, scope) && (!family || neighbour.family === family),
  )
}

function install(verb: string, neighbour: NewNeighbour, flags: number): Request<void> {
  return change(words(verb, neighbour), c.RTM_NEWNEIGH, flags, (scope) => encode(neighbour, scope))
}

function encode(
  { dev, address, lladdr, state = 'permanent', router, proxy }: NewNeighbour,
  scope: Scope,
): Buffer {
  const flags = (router ? c.NTF_ROUTER : 0) | (proxy ? c.NTF_PROXY : 0)
  const header = {
    family: familyOf(address),
    index: scope.index(dev),
    state: neighbourStateValue(state),
    flags,
  }
  return encodeNeighbour(header, [
    [c.NDA_DST, encodeIp(address)],
    [c.NDA_LLADDR, lladdr === undefined ? undefined : encodeMac(lladdr)],
  ])
}

const words = (verb: string, { address, dev }: Pick<NewNeighbour, 'address' | 'dev'>) =>
  `${verb} neighbour ${address} on link ${dev}`
