import { constants } from 'node:os'
import { errors } from '../errors.ts'
import type { LinkRef, Request } from '../socket/request.ts'
import type { Attribute } from '../wire/attributes.ts'
import { text, u32 } from '../wire/bytes.ts'
import * as c from '../wire/constants.ts'
import { type Handle, handleValue, positive } from './handle.ts'
import { ADD, change, dump, isOf, REPLACE } from './request.ts'
import { decodeTc, encodeTc, rate64, rateSpec, type TrafficControl, ticks } from './traffic-control.ts'

export type NewQdisc = {
  dev: LinkRef
  /** Default: `root`; `ingress` and `clsact` have a place of their own. */
  parent?: Handle
  /** `1:`; the kernel's choice by default. */
  handle?: Handle
} & (
  | ({ kind: 'tbf' } & TokenBucket)
  | {
      kind: 'htb' /** Minor number, in hex, of the class for what no filter claims. */
      defaultClass?: string
    }
  | {
      kind: 'fq_codel' /** In packets. */
      limit?: number /** In microseconds. */
      target?: number
      interval?: number
    }
  | { kind: 'ingress' | 'clsact' }
)

export interface TokenBucket {
  /** Bytes per second. */
  rate: number
  /** What may be sent at once, in bytes; at least the longest packet, segmentation off-load (64 KiB) included, or that is cut up. */
  burst: number
  /** What may wait, in bytes. */
  limit: number
}

/** Gives a link a qdisc. Errors: `EEXIST`, `ENOENT` for a kind the kernel doesn't know, `ENODEV`. */
export const add = (qdisc: NewQdisc): Request<void> => install('add', qdisc, ADD)

/** The same where one may be there already; one of the same kind is changed in place. */
export const replace = (qdisc: NewQdisc): Request<void> => install('replace', qdisc, REPLACE)

/** Takes a qdisc away, with its classes and filters. Errors: `ENOENT`, `EINVAL` when there is none. */
export function del({ dev, parent = 'root' }: { dev: LinkRef; parent?: Handle }): Request<void> {
  return change(`delete ${parent} qdisc of link ${dev}`, c.RTM_DELQDISC, 0, (scope) =>
    encodeTc({ index: scope.index(dev), parent: handleValue(parent) }),
  )
}

/** One qdisc of a link; the kernel lists those of all links whatever it is asked for. Errors: `ENOENT`, `EINVAL` when there is none. */
export function get({ dev, parent = 'root' }: { dev: LinkRef; parent?: Handle }): Request<TrafficControl> {
  const operation = `get ${parent} qdisc of link ${dev}`
  return {
    operation,
    protocol: c.NETLINK_ROUTE,
    type: c.RTM_GETQDISC,
    // Without an echo the answer goes to those who watch, and not to who asks.
    flags: c.NLM_F_ACK | c.NLM_F_ECHO,
    body: (scope) => encodeTc({ index: scope.index(dev), parent: handleValue(parent) }),
    parse([message]) {
      // A link that is down has the kernel's own in place of one that was deleted, and that is not told of.
      if (!message) throw errors.refused({ operation, errno: constants.errno.ENOENT })
      return decodeTc(message)
    },
  }
}

/** The qdiscs of all links or one. */
export function list({ dev }: { dev?: LinkRef } = {}): Request<TrafficControl[]> {
  return dump(
    'list qdiscs',
    [c.RTM_GETQDISC, c.RTM_NEWQDISC],
    (scope) => encodeTc({ index: dev === undefined ? 0 : scope.index(dev) }),
    decodeTc,
    (qdisc, scope) => isOf(dev, qdisc.dev, scope),
  )
}

function install(verb: string, qdisc: NewQdisc, flags: number): Request<void> {
  const { dev, kind, handle } = qdisc
  const isIngress = kind === 'ingress' || kind === 'clsact'
  const parent = isIngress ? 'ingress' : (qdisc.parent ?? 'root')
  return change(`${verb} ${kind} qdisc of link ${dev}`, c.RTM_NEWQDISC, flags, (scope) =>
    encodeTc(
      {
        index: scope.index(dev),
        parent: handleValue(parent),
        handle: handleValue(isIngress ? 'ffff:' : (handle ?? 'none')),
      },
      [
        [c.TCA_KIND, text(kind)],
        [c.TCA_OPTIONS, options(qdisc)],
      ],
    ),
  )
}

function options(qdisc: NewQdisc): Attribute[] | undefined {
  switch (qdisc.kind) {
    case 'tbf':
      return tokenBucket(qdisc)
    case 'htb':
      return [[c.TCA_HTB_INIT, htbGlobals(Number.parseInt(qdisc.defaultClass ?? '0', 16))]]
    case 'fq_codel':
      return [
        [c.TCA_FQ_CODEL_LIMIT, qdisc.limit === undefined ? undefined : u32(qdisc.limit)],
        [c.TCA_FQ_CODEL_TARGET, qdisc.target === undefined ? undefined : u32(qdisc.target)],
        [c.TCA_FQ_CODEL_INTERVAL, qdisc.interval === undefined ? undefined : u32(qdisc.interval)],
      ]
    default:
      return undefined
  }
}

// struct tc_tbf_qopt: rate, peak rate (none), limit, buffer and mtu.
function tokenBucket({ rate, burst, limit }: TokenBucket): Attribute[] {
  positive('rate in bytes per second', rate)
  positive('burst in bytes', burst)
  const parameters = [
    rateSpec(rate),
    Buffer.alloc(12),
    u32(positive('limit in bytes', limit)),
    u32(ticks(burst, rate)),
    u32(0),
  ]
  return [
    [c.TCA_TBF_PARMS, Buffer.concat(parameters)],
    // The buffer's ticks would be rounded; bytes are exact.
    [c.TCA_TBF_BURST, u32(burst)],
    [c.TCA_TBF_RATE64, rate64(rate)],
  ]
}

// struct tc_htb_glob: version 3, rate2quantum, default class, and two that only the kernel fills.
const htbGlobals = (defaultClass: number) => Buffer.concat([3, 10, defaultClass, 0, 0].map(u32))
