import type { Bandwidth } from '@podwire/api'
import { filters, links, type Netlink, qdiscs, type Request } from '@podwire/netlink'
import { findLink } from '../datapath/bridge.ts'
import type { PodLinkNames } from '../datapath/names.ts'
import { shapingUnsupported } from '../errors.ts'

export interface ShapedLink {
  readonly names: PodLinkNames
  /** Index of the host's end of the pod's veth pair. */
  readonly index: number
  /** In bytes. */
  readonly mtu: number
}

/** How requests get to the kernel: at once, or off the event loop while it is busy. */
export type Send = (requests: readonly Request<unknown>[]) => Promise<unknown>

/**
 * Limits what goes to the pod where it leaves the host's end of its veth pair, and what comes from it on an ifb it is led
 * through, as a queue exists only where packets leave. Changes limits in place.
 * @throws PodwireError `SHAPING_UNSUPPORTED`
 */
export async function shape(
  netlink: Netlink,
  send: Send,
  link: ShapedLink,
  now: Bandwidth,
  wanted: Bandwidth,
) {
  if (now.ingress !== wanted.ingress) await limitIngress(send, link, wanted.ingress)
  if (now.egress !== wanted.egress) await limitEgress(netlink, send, link, wanted.egress)
}

async function limitIngress(send: Send, { index, mtu }: ShapedLink, rate: number | undefined) {
  try {
    await send([rate === undefined ? qdiscs.del({ dev: index }) : bucket(index, rate, mtu)])
  } catch (error) {
    if (rate !== undefined) throw shapingUnsupported('ingress', error)
    if (!isMissing(error)) throw error
  }
}

async function limitEgress(
  netlink: Netlink,
  send: Send,
  { names, index, mtu }: ShapedLink,
  rate: number | undefined,
) {
  if (rate === undefined) {
    // The ifb stays, unused, until the pod goes: deleting it is slow, and a limit may come back.
    await send([qdiscs.del({ dev: index, parent: 'ingress' })]).catch((error) => {
      if (!isMissing(error)) throw error
    })
    return
  }
  try {
    if (!findLink(netlink, names.egress))
      await send([links.add({ kind: 'ifb', name: names.egress, mtu, up: true })])
    const egress = netlink.runSync(links.get(names.egress)).index
    await send([bucket(egress, rate, mtu)])
    if (isLedTo(netlink, index, egress)) return
    await send([
      qdiscs.replace({ dev: index, kind: 'ingress' }),
      filters.add({ dev: index, parent: 'ffff:', priority: 1, kind: 'u32', redirect: egress }),
    ])
  } catch (error) {
    throw shapingUnsupported('egress', error)
  }
}

function isLedTo(netlink: Netlink, index: number, egress: number): boolean {
  const hasQdisc = netlink.runSync(qdiscs.list({ dev: index })).some(({ kind }) => kind === 'ingress')
  if (!hasQdisc) return false
  const leading = netlink.runSync(filters.list({ dev: index, parent: 'ffff:' }))
  return leading.some(({ redirect }) => redirect === egress)
}

const MAX_U32 = 2 ** 32 - 1

function bucket(dev: number, bitsPerSecond: number, mtu: number) {
  const rate = Math.ceil(bitsPerSecond / 8)
  // Ten milliseconds at full speed, so that a timer that is late costs nothing; and some packets at least, as one that is
  // longer than the bucket is cut up or dropped.
  const burst = clamp(rate / 100, 4 * (mtu + 14))
  // A tenth of a second may wait; TCP needs some packets in flight to fill a slow line.
  const limit = clamp(rate / 10, 32 * (mtu + 14))
  return qdiscs.replace({ dev, kind: 'tbf', handle: '1:', rate, burst, limit })
}

const clamp = (bytes: number, least: number) => Math.min(Math.max(Math.ceil(bytes), least), MAX_U32)

const isMissing = (error: unknown) =>
  ['ENOENT', 'EINVAL', 'ENODEV'].includes((error as { code?: string }).code ?? '')

/** What differs from the limits, each in a phrase. */
export function shapingDifferences(
  netlink: Netlink,
  { names, index }: ShapedLink,
  { ingress, egress }: Bandwidth,
): string[] {
  const bucketOf = (dev: number) => netlink.runSync(qdiscs.list({ dev })).find(({ kind }) => kind === 'tbf')
  const differences: string[] = []
  if (ingress !== undefined && bucketOf(index)?.rate !== Math.ceil(ingress / 8))
    differences.push('its ingress bandwidth is not limited as it should be')
  const ifb = egress === undefined ? undefined : findLink(netlink, names.egress)
  const isLed = ifb !== undefined && isLedTo(netlink, index, ifb.index)
  if (egress !== undefined && (!ifb || !isLed || bucketOf(ifb.index)?.rate !== Math.ceil(egress / 8)))
    differences.push('its egress bandwidth is not limited as it should be')
  return differences
}
