import { type Bandwidth, ignoring } from '@podwire/api'
import { filters, links, qdiscs } from '@podwire/netlink'
import { errors } from '../errors.ts'
import { withoutOwnAddress } from '../kernel/ipv6.ts'
import type { Kernel } from '../kernel/kernel.ts'

export interface ShapedLink {
  /** Through which what the pod sends is led. */
  readonly ifb: { readonly name: string; readonly alias: string }
  /** Index of the host's end of the pod's veth pair. */
  readonly index: number
  /** In bytes. */
  readonly mtu: number
}

/** The codes by which the kernel says that there is no such qdisc. */
const missing = ignoring('ENOENT', 'EINVAL')

/**
 * Limits what goes to the pod where it leaves the host's end of its veth pair, and what comes from it on an ifb that it is
 * led through, as a queue exists only where packets leave.
 * @param now the limits it has; unknown after a crash, or when its link is a new one
 * @throws PodwireError `SHAPING_UNSUPPORTED`
 */
export async function shape(
  kernel: Kernel,
  link: ShapedLink,
  now: Bandwidth | 'unknown',
  wanted: Bandwidth,
): Promise<void> {
  const isUnknown = now === 'unknown'
  if (isUnknown || now.ingress !== wanted.ingress) await limitIngress(kernel, link, wanted.ingress)
  if (isUnknown || now.egress !== wanted.egress)
    await limitEgress(kernel, link, isUnknown ? undefined : now.egress, wanted.egress)
}

/** Removes what lets a pod's limits stay behind when its link is gone. */
export const removeShaping = (kernel: Kernel, ifb: string): Promise<void> => kernel.removeLinks([ifb])

async function limitIngress(kernel: Kernel, { index, mtu }: ShapedLink, rate: number | undefined) {
  if (rate === undefined) {
    await kernel.run(qdiscs.del({ dev: index })).catch(missing)
    return
  }
  try {
    await setBucket(kernel, index, rate, mtu)
  } catch (error) {
    throw errors.SHAPING_UNSUPPORTED({ direction: 'ingress' }, error)
  }
}

async function limitEgress(
  kernel: Kernel,
  { ifb, index, mtu }: ShapedLink,
  now: number | undefined,
  rate: number | undefined,
) {
  if (now === undefined || rate === undefined)
    await kernel.run(qdiscs.del({ dev: index, parent: 'ingress' })).catch(missing)
  // The ifb stays, unused, until the pod goes: deleting it is slow, and a limit may come back.
  if (rate === undefined) return
  try {
    const egress = await ensureIfb(kernel, ifb, mtu)
    await setBucket(kernel, egress, rate, mtu)
    if (now !== undefined) return
    await kernel.batch([
      qdiscs.add({ dev: index, kind: 'ingress' }),
      filters.add({ dev: index, parent: 'ffff:', priority: 1, kind: 'u32', redirect: egress }),
    ])
  } catch (error) {
    throw errors.SHAPING_UNSUPPORTED({ direction: 'egress' }, error)
  }
}

async function ensureIfb(kernel: Kernel, { name, alias }: ShapedLink['ifb'], mtu: number): Promise<number> {
  const there = await kernel.findLink(name)
  if (there?.up) return there.index
  await kernel.batch([
    ...(there ? [] : [links.add({ kind: 'ifb', name, mtu })]),
    // Without an IPv6 address, which nothing needs there, it is up in half the time.
    links.set(name, { alias, ...withoutOwnAddress(mtu) }),
    links.set(name, { up: true }),
  ])
  return there?.index ?? (await kernel.run(links.brief(name))).index
}

// Half of what the kernel's 32 bits hold, as two of them are added.
const MAX_BYTES = 2 ** 31 - 1
const bytesPerSecond = (bitsPerSecond: number) => Math.ceil(bitsPerSecond / 8)

async function setBucket(kernel: Kernel, dev: number, bitsPerSecond: number, mtu: number) {
  const there = await kernel.run(qdiscs.get({ dev })).catch(missing)
  // Not changed in place: a packet that waits already and is longer than a smaller bucket would wait for ever, and all the
  // others behind it. Off the event loop, as the kernel waits for what is under way.
  if (there?.kind === 'tbf') await kernel.runOffLoop(qdiscs.del({ dev })).catch(missing)
  await kernel.run(bucket(dev, bitsPerSecond, mtu))
}

function bucket(dev: number, bitsPerSecond: number, mtu: number) {
  const rate = bytesPerSecond(bitsPerSecond)
  // What a busy machine's timer may be late by, so that no time is lost; and some packets at least, as one that is longer than
  // the bucket is cut up or dropped.
  const burst = clamp(rate / 25, 4 * (mtu + 14))
  // What waits delays all behind it; TCP needs some packets in flight to fill a line, and more to live with losses.
  const limit = burst + clamp(rate / 20, 64 * (mtu + 14))
  return qdiscs.replace({ dev, kind: 'tbf', handle: '1:', rate, burst, limit })
}

const clamp = (bytes: number, least: number) => Math.min(Math.max(Math.ceil(bytes), least), MAX_BYTES)

/** What differs from the limits, each in a phrase. */
export async function shapingDifferences(
  kernel: Kernel,
  { ifb, index }: ShapedLink,
  { ingress, egress }: Bandwidth,
): Promise<string[]> {
  const differences: string[] = []
  if (ingress !== undefined && (await rateOf(index)) !== bytesPerSecond(ingress))
    differences.push('its ingress bandwidth is not limited as it should be')
  if (egress !== undefined && (await egressRate()) !== bytesPerSecond(egress))
    differences.push('its egress bandwidth is not limited as it should be')
  return differences

  async function rateOf(dev: number) {
    const qdisc = await kernel.run(qdiscs.get({ dev })).catch(missing)
    return qdisc?.kind === 'tbf' ? qdisc.rate : undefined
  }

  async function egressRate() {
    const way = await kernel.findLink(ifb.name)
    const leading = await kernel.run(filters.list({ dev: index, parent: 'ffff:' })).catch(missing)
    return way && leading?.some(({ redirect }) => redirect === way.index) ? rateOf(way.index) : undefined
  }
}
