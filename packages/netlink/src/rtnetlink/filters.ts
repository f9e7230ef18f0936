import { errors } from '../errors.ts'
import type { LinkRef, Request, Scope } from '../socket/request.ts'
import type { Attribute } from '../wire/attributes.ts'
import { text, u32 } from '../wire/bytes.ts'
import * as c from '../wire/constants.ts'
import { AF_INET, encodePrefix } from '../wire/ip.ts'
import { type Handle, handleValue } from './handle.ts'
import { ADD, change, dump } from './request.ts'
import { decodeTc, encodeTc, type TrafficControl } from './traffic-control.ts'

const ETH_P_ALL = 0x0003
const ETH_P_IP = 0x0800
const TC_ACT_PIPE = 3
const TC_ACT_STOLEN = 4
const TC_U32_TERMINAL = 1

export interface NewFilter {
  dev: LinkRef
  /** The qdisc to filter for: `1:`, or `ffff:` for what comes in. */
  parent: Handle
  /** Lower ones come first. */
  priority: number
  /** `u32` is in nearly every kernel; `matchall` takes everything and no `match`. */
  kind: 'u32' | 'matchall'
  /** IPv4 packets from or to a prefix; without it every packet. */
  match?: { from?: string; to?: string }
  /** The class to put packets into. */
  classId?: Handle
  /** The link to send packets out of, an ifb for instance. */
  redirect?: LinkRef
  /** The link to send a copy of packets out of. */
  mirror?: LinkRef
}

/** Makes a filter. Errors: `EEXIST`, `ENOENT` for a kind or parent that isn't there, `ENODEV`. */
export function add(filter: NewFilter): Request<void> {
  const { dev, parent, priority, kind } = filter
  return change(`add ${kind} filter of link ${dev}`, c.RTM_NEWTFILTER, ADD, (scope) =>
    encodeTc(
      {
        index: scope.index(dev),
        parent: handleValue(parent),
        extra: filterInfo(priority, filter.match ? ETH_P_IP : ETH_P_ALL),
      },
      [
        [c.TCA_KIND, text(kind)],
        [c.TCA_OPTIONS, kind === 'u32' ? u32Options(filter, scope) : matchallOptions(filter, scope)],
      ],
    ),
  )
}

/** Deletes the filters of a parent: of one priority, or all. Errors: `ENOENT`, `EINVAL` without the qdisc. */
export function del({
  dev,
  parent,
  priority = 0,
}: {
  dev: LinkRef
  parent: Handle
  priority?: number
}): Request<void> {
  return change(`delete filters of link ${dev}`, c.RTM_DELTFILTER, 0, (scope) =>
    encodeTc({ index: scope.index(dev), parent: handleValue(parent), extra: filterInfo(priority, 0) }),
  )
}

/** The filters of a parent. */
export function list({ dev, parent }: { dev: LinkRef; parent: Handle }): Request<TrafficControl[]> {
  return dump(
    'list filters',
    [c.RTM_GETTFILTER, c.RTM_NEWTFILTER],
    (scope) => encodeTc({ index: scope.index(dev), parent: handleValue(parent) }),
    decodeTc,
    // u32 lists its hash tables too, whose handles end in a colon.
    ({ kind, handle }) => kind !== 'u32' || (handle !== 'none' && !handle.endsWith(':')),
  )
}

// The priority, and the ethertype in network order.
const filterInfo = (priority: number, protocol: number) =>
  (priority << 16) | ((protocol & 0xff) << 8) | (protocol >>> 8)

function u32Options(filter: NewFilter, scope: Scope): Attribute[] {
  return [
    [c.TCA_U32_CLASSID, filter.classId === undefined ? undefined : u32(handleValue(filter.classId))],
    [c.TCA_U32_SEL, selector(filter.match ?? {})],
    [c.TCA_U32_ACT, actions(filter, scope)],
  ]
}

function matchallOptions(filter: NewFilter, scope: Scope): Attribute[] {
  if (filter.match)
    throw errors.ERR_NETLINK_ARGUMENT({
      what: 'match of a matchall filter',
      value: filter.match,
      expected: 'none; use kind u32',
    })
  return [
    [c.TCA_MATCHALL_CLASSID, filter.classId === undefined ? undefined : u32(handleValue(filter.classId))],
    [c.TCA_MATCHALL_ACT, actions(filter, scope)],
  ]
}

// struct tc_u32_sel with its keys: mask and value in network order, and the offset in the IPv4 header.
function selector({ from, to }: { from?: string; to?: string }): Buffer {
  const keys = [from && key(from, 12), to && key(to, 16)].filter((found) => typeof found === 'object')
  if (keys.length === 0) keys.push(Buffer.alloc(16))
  const header = Buffer.alloc(16)
  header.writeUInt8(TC_U32_TERMINAL, 0)
  header.writeUInt8(keys.length, 2)
  return Buffer.concat([header, ...keys])
}

function key(prefix: string, offset: number): Buffer {
  const { family, bytes, length } = encodePrefix(prefix)
  if (family !== AF_INET)
    throw errors.ERR_NETLINK_ARGUMENT({ what: 'prefix to match', value: prefix, expected: 'an IPv4 prefix' })
  const mask = length === 0 ? 0 : (0xffffffff << (32 - length)) >>> 0
  const found = Buffer.alloc(16)
  found.writeUInt32BE(mask, 0)
  found.writeUInt32BE((bytes.readUInt32BE() & mask) >>> 0, 4)
  found.writeInt32LE(offset, 8)
  return found
}

function actions({ redirect, mirror }: NewFilter, scope: Scope): Attribute[] | undefined {
  const TCA_EGRESS_REDIR = 1
  const TCA_EGRESS_MIRROR = 2
  const list: Buffer[] = []
  if (mirror !== undefined) list.push(mirred(TC_ACT_PIPE, TCA_EGRESS_MIRROR, scope.index(mirror)))
  if (redirect !== undefined) list.push(mirred(TC_ACT_STOLEN, TCA_EGRESS_REDIR, scope.index(redirect)))
  if (list.length === 0) return undefined
  return list.map((parameters, position) => [
    position + 1,
    [
      [c.TCA_ACT_KIND, text('mirred')],
      [c.TCA_ACT_OPTIONS, [[c.TCA_MIRRED_PARMS, parameters]]],
    ],
  ])
}

// struct tc_mirred: index, capabilities, verdict, two counters, what to do, and the link.
const mirred = (verdict: number, eaction: number, link: number) =>
  Buffer.concat([0, 0, verdict, 0, 0, eaction, link].map(u32))
