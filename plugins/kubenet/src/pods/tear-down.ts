import { errnoOf, ignoring, isPodwireError, messageOf, type PodRef, podKey } from '@podwire/api'
import type { LeavingPod } from '../datapath/datapath.ts'
import { forgetSources } from '../datapath/inside.ts'
import { addressOf } from '../firewall/port-elements.ts'
import { isNetnsOf, type PodRecord, publishedFor } from '../pod-record.ts'
import { removeShaping } from '../shaping/shaping.ts'
import type { PodContext } from './context.ts'

/** Withdraws the ports and cuts the pod off at once; its addresses are free when the kernel has forgotten its links. */
export async function tearDownPod(context: PodContext, pod: PodRef): Promise<void> {
  const { records, claims, log } = context
  const record = readRecord(context, pod)
  log.debug(`kubenet: ${podKey(pod)}: taking ports, link and addresses away`, {
    record: record !== undefined,
  })
  if (record === 'unreadable') {
    // What is the sandbox's is known without.
    const addresses = claims.claimed().filter((address) => claims.ownerOf(address) === pod.sandboxId)
    await withdrawPortsTo(context, addresses)
    await cutOff(context, pod)
    context.policies.remove(pod)
    forget(context, pod, addresses)
    return
  }
  if (record) await withdrawPorts(context, record)
  // Before its link, by which the kernel would forget the table that is looked for.
  if (record?.isFurther && isNetnsOf(record)) await forgetSources(context.kernel, record)
  await cutOff(context, record ?? pod)
  if (record) {
    if (record.policy) await context.tellDenied()
    await context.flows.end(record).catch(untold(record))
    if (context.policies.concern(record) && !hasPorts(record)) markLeaving(context, record)
    context.policies.remove(record)
    forget(
      context,
      pod,
      record.addresses.map(({ address }) => address),
    )
  }

  // A pod goes, whoever wants to hear of it.
  function untold(gone: PodRecord) {
    return (error: unknown) =>
      log.warn(`kubenet does not know what pod ${podKey(gone)} reached at last: ${messageOf(error)}`)
  }

  function readRecord({ report }: PodContext, { sandboxId }: PodRef) {
    try {
      return records.read(sandboxId)
    } catch (error) {
      if (!isPodwireError(error) || error.code !== 'RECORD_UNREADABLE') throw error
      report('record-unreadable', { message: error.message })
      return 'unreadable' as const
    }
  }
}

const hasPorts = (record: PodRecord) => publishedFor(record).ports.length > 0

async function withdrawPorts(context: PodContext, record: PodRecord) {
  if (!hasPorts(record)) return
  const { hostPorts, claims } = context
  const { ports } = publishedFor(record)
  // A set-up that was cut short has written down addresses that it had not claimed yet, and that are another pod's perhaps.
  const addresses = record.addresses.filter(({ address }) => claims.ownerOf(address) === record.sandboxId)
  markLeaving(context, record)
  await hostPorts.withdraw({ addresses, ports }, { addresses, ports: [] })
}

/** Whoever makes the tables anew from now on leaves out what is this pod's. */
function markLeaving({ records }: PodContext, record: PodRecord) {
  try {
    if (!record.leaving) records.markLeaving(record.sandboxId)
  } catch (error) {
    // On a disk that became read-only: only who makes them anew at this very moment would have had to know.
    ignoring('EROFS', 'ENOENT')(error)
  }
}

async function withdrawPortsTo({ firewall, published }: PodContext, addresses: readonly string[]) {
  await firewall.change(
    [],
    published().filter((element) => addresses.includes(addressOf(element))),
  )
}

async function cutOff({ datapath, kernel, podLinks }: PodContext, pod: LeavingPod): Promise<void> {
  // Asked first: where it throws, nobody would be there to hear how the other one ends.
  const { egress } = podLinks.names(pod.sandboxId)
  await Promise.all([datapath.disconnect(pod), removeShaping(kernel, egress)])
}

function forget(context: PodContext, pod: PodRef, addresses: readonly string[]) {
  try {
    for (const address of addresses) context.releaseAddress(address, pod.sandboxId)
    context.records.remove(pod.sandboxId)
  } catch (error) {
    if (errnoOf(error) !== 'EROFS') throw error
    // The pod has no network any more. Its record is garbage, and goes when it can.
    context.log.warn(`kubenet could not forget pod ${podKey(pod)}: ${messageOf(error)}`, { ...pod })
  }
}
