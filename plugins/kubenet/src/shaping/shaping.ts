import type { Bandwidth } from '@podwire/api'
import { filters, links, type Netlink, qdiscs } from '@podwire/netlink'
import { type Courier, unless } from '../datapath/courier.ts'
import type { PodLinkNames } from '../datapath/names.ts'
import { silence } from '../datapath/silence.ts'
import { shapingUnsupported } from '../errors.ts'

export interface ShapedLink {
  readonly names: PodLinkNames
  /** Index of the host's end of the pod's veth pair. */
  readonly index: number
  /** In bytes. */
  readonly mtu: number
}

/** The codes by which the kernel says that there is no such qdisc. */
const missing = unless('ENOENT', 'EINVAL')

/**
 * Limits what goes to the pod where it leaves the host's end of its veth pair, and what comes from it on an ifb that it is
 * led through, as a queue exists only where packets leave.
 * @throws PodwireError `SHAPING_UNSUPPORTED`
 */
export async function shape(
  netlink: Netlink,
  courier: Courier,
  link: ShapedLink,
  now: Bandwidth,
  wanted: Bandwidth,
): Promise<void> {
  if (now.ingress !== wanted.ingress) await limitIngress(netlink, courier, link, wanted.ingress)
  if (now.egress !== wanted.egress) await limitEgress(netlink, courier, link, now.egress, wanted.egress)
}

async function limitIngress(
  netlink: Netlink,
  courier: Courier,
  { index, mtu }: ShapedLink,
  rate: number | undefined,
) {
  if (rate === undefined) {
    await courier.run(netlink, qdiscs.del({ dev: index })).catch(missing)
    return
  }
  try {
    await setBucket(netlink, courier, index, rate, mtu)
  } catch (error) {
    throw shapingUnsupported('ingress', error)
  }
}

async function limitEgress(
  netlink: Netlink,
  courier: Courier,
  { names, index, mtu }: ShapedLink,
  now: number | undefined,
  rate: number | undefined,
) {
  if (now === undefined || rate === undefined)
    await courier.run(netlink, qdiscs.del({ dev: index, parent: 'ingress' })).catch(missing)
  // The ifb stays, unused, until the pod goes: deleting it is slow, and a limit may come back.
  if (rate === undefined) return
  try {
    const egress = await ensureIfb(netlink, courier, names.egress, mtu)
    await setBucket(netlink, courier, egress, rate, mtu)
    if (now !== undefined) return
    await courier.batch(netlink, [
      qdiscs.add({ dev: index, kind: 'ingress' }),
      filters.add({ dev: index, parent: 'ffff:', priority: 1, kind: 'u32', redirect: egress }),
    ])
  } catch (error) {
    throw shapingUnsupported('egress', error)
  }
}

async function ensureIfb(netlink: Netlink, courier: Courier, name: string, mtu: number): Promise<number> {
  const there = await courier.findLink(netlink, name)
  if (there?.up) return there.index
  if (!there) await courier.run(netlink, links.add({ kind: 'ifb', name, mtu }))
  const { index } = there ?? (await courier.run(netlink, links.get(name)))
  // Without an IPv6 address, which nothing needs there, it is up in half the time.
  await courier.batch(netlink, [links.set(index, silence(mtu)), links.set(index, { up: true })])
  return index
}

// Half of what the kernel's 32 bits hold, as two of them are added.
const MAX_BYTES = 2 ** 31 - 1
const bytesPerSecond = (bitsPerSecond: number) => Math.ceil(bitsPerSecond / 8)

async function setBucket(
  netlink: Netlink,
  courier: Courier,
  dev: number,
  bitsPerSecond: number,
  mtu: number,
) {
  const there = await courier.run(netlink, qdiscs.get({ dev })).catch(missing)
  // Not changed in place: a packet that waits already and is longer than a smaller bucket would wait for ever, and all the
  // others behind it. Off the event loop, as the kernel waits for what is under way.
  if (there?.kind === 'tbf') await netlink.run(qdiscs.del({ dev })).catch(missing)
  await courier.run(netlink, bucket(dev, bitsPerSecond, mtu))
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
  netlink: Netlink,
  courier: Courier,
  { names, index }: ShapedLink,
  { ingress, egress }: Bandwidth,
): Promise<string[]> {
  const differences: string[] = []
  if (ingress !== undefined && (await rateOf(index)) !== bytesPerSecond(ingress))
    differences.push('its ingress bandwidth is not limited as it should be')
  if (egress !== undefined && (await egressRate()) !== bytesPerSecond(egress))
    differences.push('its egress bandwidth is not limited as it should be')
  return differences

  async function rateOf(dev: number) {
    const qdisc = await courier.run(netlink, qdiscs.get({ dev })).catch(missing)
    return qdisc?.kind === 'tbf' ? qdisc.rate : undefined
  }

  async function egressRate() {
    const ifb = await courier.findLink(netlink, names.egress)
    const leading = await courier.run(netlink, filters.list({ dev: index, parent: 'ffff:' })).catch(missing)
    return ifb && leading?.some(({ redirect }) => redirect === ifb.index) ? rateOf(ifb.index) : undefined
  }
}
