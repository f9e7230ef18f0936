import {
  type Attribute,
  type Attributes,
  decodeAttributes,
  encodeAttributes,
  listAttributes,
  nested,
  optional,
  present,
} from '../wire/attributes.ts'
import { readI32, readText, readU32, readU64, slice, u32, u64 } from '../wire/bytes.ts'
import * as c from '../wire/constants.ts'
import type { Message } from '../wire/message.ts'

/** A qdisc, class or filter as the kernel describes it. What doesn't apply is absent. */
export interface TrafficControl {
  /** Index of the link. */
  dev: number
  kind: string
  /** `1:`, `1:10`, `root`, `ingress` … */
  handle: string
  parent: string
  /** Bytes per second, of tbf and htb. */
  rate?: number
  ceil?: number
  /** In bytes, of tbf. */
  limit?: number
  /** Of filters: lower ones come first. */
  priority?: number
  /** Of filters: ethertype, 3 for all. */
  protocol?: number
  /** Of filters: the index of the link that mirred sends packets to. */
  redirect?: number
  /** Since it was made. */
  statistics?: { bytes: number; packets: number; drops: number; overlimits: number; backlog: number }
}

const wellKnown: Record<string, number> = {
  none: 0,
  root: 0xffffffff,
  ingress: 0xfffffff1,
  clsact: 0xfffffff1,
}

/** `'1:10'`, `'1:'` or one of the well-known words to the kernel's 32 bits. */
export function encodeHandle(handle: string): number | undefined {
  if (Object.hasOwn(wellKnown, handle)) return wellKnown[handle]
  const match = /^([0-9a-f]{1,4}):([0-9a-f]{0,4})$/i.exec(handle)
  return match
    ? ((Number.parseInt(match[1]!, 16) << 16) | Number.parseInt(match[2] || '0', 16)) >>> 0
    : undefined
}

function decodeHandle(value: number): string {
  if (value === 0) return 'none'
  if (value === 0xffffffff) return 'root'
  if (value === 0xfffffff1) return 'ingress'
  const minor = value & 0xffff
  return `${(value >>> 16).toString(16)}:${minor === 0 ? '' : minor.toString(16)}`
}

/** struct tcmsg and the attributes after it. */
export function encodeTc(
  {
    index,
    handle = 0,
    parent = 0,
    extra = 0,
  }: { index: number; handle?: number; parent?: number; extra?: number },
  attributes: readonly Attribute[] = [],
): Buffer {
  const bytes = Buffer.alloc(20)
  bytes.writeInt32LE(index, 4)
  bytes.writeUInt32LE(handle, 8)
  bytes.writeUInt32LE(parent, 12)
  bytes.writeUInt32LE(extra >>> 0, 16)
  return encodeAttributes(attributes, bytes)
}

export function decodeTc({ body, type }: Message): TrafficControl {
  slice(body, 0, 20)
  const attributes = decodeAttributes(body, 20)
  const kind = optional(attributes, c.TCA_KIND, readText) ?? ''
  const isFilter = type === c.RTM_NEWTFILTER || type === c.RTM_DELTFILTER
  const extra = readU32(body, 16)
  return present({
    dev: readI32(body, 4),
    kind,
    handle: decodeHandle(readU32(body, 8)),
    parent: decodeHandle(readU32(body, 12)),
    ...ratesOf(kind, attributes.get(c.TCA_OPTIONS)),
    priority: isFilter ? extra >>> 16 : undefined,
    protocol: isFilter ? ((extra & 0xff) << 8) | ((extra >>> 8) & 0xff) : undefined,
    redirect: isFilter ? redirectOf(kind, attributes.get(c.TCA_OPTIONS)) : undefined,
    statistics: isFilter ? undefined : statisticsOf(nested(attributes, c.TCA_STATS2)),
  })
}

function ratesOf(kind: string, bytes: Buffer | undefined): Pick<TrafficControl, 'rate' | 'ceil' | 'limit'> {
  if (!bytes || (kind !== 'tbf' && kind !== 'htb')) return {}
  const options = decodeAttributes(bytes)
  const isTbf = kind === 'tbf'
  const parameters = options.get(isTbf ? c.TCA_TBF_PARMS : c.TCA_HTB_PARMS)
  if (!parameters) return {}
  const rate =
    optional(options, isTbf ? c.TCA_TBF_RATE64 : c.TCA_HTB_RATE64, readU64) ?? readU32(parameters, 8)
  if (isTbf) return { rate, limit: readU32(parameters, 24) }
  return { rate, ceil: optional(options, c.TCA_HTB_CEIL64, readU64) ?? readU32(parameters, 20) }
}

function redirectOf(kind: string, bytes: Buffer | undefined): number | undefined {
  if (!bytes || (kind !== 'u32' && kind !== 'matchall')) return undefined
  const actions = decodeAttributes(bytes).get(kind === 'u32' ? c.TCA_U32_ACT : c.TCA_MATCHALL_ACT)
  for (const [, action] of actions ? listAttributes(actions) : []) {
    const parameters = nested(decodeAttributes(action), c.TCA_ACT_OPTIONS).get(c.TCA_MIRRED_PARMS)
    if (parameters) return readU32(parameters, 24)
  }
  return undefined
}

function statisticsOf(statistics: Attributes): TrafficControl['statistics'] {
  const basic = statistics.get(c.TCA_STATS_BASIC)
  const queue = statistics.get(c.TCA_STATS_QUEUE)
  if (!basic || !queue) return undefined
  return {
    bytes: readU64(basic),
    packets: readU32(basic, 8),
    backlog: readU32(queue, 4),
    drops: readU32(queue, 8),
    overlimits: readU32(queue, 16),
  }
}

const TC_LINKLAYER_ETHERNET = 1
const MAX_U32 = 0xffffffff

/** struct tc_ratespec. Rates beyond 32 bits travel in an attribute beside it. */
export function rateSpec(bytesPerSecond: number): Buffer {
  return Buffer.concat([
    Buffer.of(0, TC_LINKLAYER_ETHERNET, 0, 0, 0, 0, 0, 0),
    u32(Math.min(bytesPerSecond, MAX_U32)),
  ])
}

export const rate64 = (bytesPerSecond: number) =>
  bytesPerSecond > MAX_U32 ? u64(BigInt(bytesPerSecond)) : undefined

/** How long `bytes` take at a rate, in the kernel's ticks of 64 ns. */
export const ticks = (bytes: number, bytesPerSecond: number) =>
  Math.min(MAX_U32, Math.ceil((bytes * 1e9) / bytesPerSecond / 64))
