import { isDeepStrictEqual } from 'node:util'
import { messageOf, type Pod, podKey } from '@podwire/api'
import { type PodRecord, type PodSettings, publishedFor, settingsOf } from '../pod-record.ts'
import { shape } from '../shaping/shaping.ts'
import { podDifferences } from './check.ts'
import type { SetUpContext } from './context.ts'
import { shapedLinkOf } from './links.ts'
import { stepsOf } from './steps.ts'

/**
 * Mends what differs of a pod that has its network, and gives it the settings that are wanted now; its addresses stay.
 * A change that fails leaves the settings as they were. One that a crash cut short stands in the record, until a set-up
 * finishes it or a tear-down takes all of it away.
 */
export async function converge(
  context: SetUpContext,
  record: PodRecord,
  pod: Pod,
  sandbox: number,
  signal: AbortSignal,
): Promise<PodRecord> {
  const step = stepsOf(pod, context, signal)
  const wanted = settingsOf(pod)
  const differences = await podDifferences(context, record)
  const isSame = isDeepStrictEqual(currentSettings(record), wanted)
  if (differences.length === 0 && isSame && context.policies.isAnswered(record)) return record
  if (differences.length > 0) await step('link', () => context.datapath.mend(record, sandbox))
  const changed = await step('settings', () =>
    // Nothing is to be written down, so that a full disk is not in the way.
    isSame && !record.changing
      ? restoreSettings(context, record)
      : change(context, record, wanted, differences.length > 0, signal),
  )
  if (differences.length > 0)
    context.report('repair', { pod: podKey(pod), sandboxId: pod.sandboxId, repaired: differences })
  return changed
}

async function restoreSettings(context: SetUpContext, record: PodRecord): Promise<PodRecord> {
  const { withdrawing: _, ...kept } = record
  const restored = heardHere(context, kept)
  await apply(context, record, restored, 'unknown')
  await context.hostPorts.withdraw(publishedFor(record), restored)
  // The kernel has it already. Only who makes the tables anew would send what is denied to nobody.
  if (restored.logGroup !== record.logGroup || record.withdrawing) writeIfPossible(context, restored)
  return restored
}

/** What stands there already leads to the same. */
function writeIfPossible({ records, log }: SetUpContext, record: PodRecord) {
  try {
    records.write(record)
  } catch (error) {
    log.warn(`kubenet could not write down how pod ${podKey(record)} is now: ${messageOf(error)}`)
  }
}

/** From now on this process is told of what the pod's policy denies. */
function heardHere(context: SetUpContext, record: PodRecord): PodRecord {
  return record.policy ? { ...record, logGroup: context.logGroup() } : record
}

/** Ports and limits, all of them or none. */
async function change(
  context: SetUpContext,
  record: PodRecord,
  wanted: PodSettings,
  isUncertain: boolean,
  signal: AbortSignal,
): Promise<PodRecord> {
  const { records } = context
  const { changing, ...before } = record
  const { policy: _, withdrawing = [], ...kept } = before
  const after = heardHere(context, { ...kept, ...wanted })
  context.policies.assertPossible(after)
  const begun: PodRecord = {
    ...before,
    ...(after.logGroup === undefined ? {} : { logGroup: after.logGroup }),
    // What the kernel may hold stands in the record before the kernel does, the leftovers of a change cut short included.
    changing: wanted,
    withdrawing: [...withdrawing, ...(changing?.ports ?? [])],
  }
  records.write(begun)
  try {
    await apply(context, begun, after, isUncertain || changing ? 'unknown' : before)
    signal.throwIfAborted()
    records.settle(record.sandboxId)
    // Not before nothing is left that could be refused: what is given away may be another pod's at once.
    await context.hostPorts.withdraw(publishedFor(begun), after)
  } catch (error) {
    await takeBack(context, begun, before)
    throw error
  }
  writeIfPossible(context, after)
  return after
}

async function takeBack(context: SetUpContext, begun: PodRecord, before: PodRecord) {
  try {
    const { hostPorts, records } = context
    await apply(context, begun, before, 'unknown')
    await hostPorts.withdraw(publishedFor(begun), before)
    records.write(before)
    // Whoever made the tables anew until then published from the record what had been withdrawn.
    await hostPorts.withdraw(publishedFor(begun), before)
  } catch (error) {
    // The first error is the one to tell. The record says what there may be, and the next set-up or tear-down sees to it.
    context.log.error(`kubenet could not take back a change of pod ${podKey(before)}: ${messageOf(error)}`)
  }
}

/** Everything but to withdraw ports. */
async function apply(
  context: SetUpContext,
  begun: PodRecord,
  goal: PodRecord,
  before: PodRecord | 'unknown',
) {
  // First, as these are what is refused now and then.
  await context.hostPorts.publish(publishedFor(begun), goal)
  const link = await shapedLinkOf(context, goal)
  const limits = before === 'unknown' ? 'unknown' : before.bandwidth
  if (link) await shape(context.kernel, link, limits, goal.bandwidth)
  const isSamePolicy =
    before !== 'unknown' &&
    context.policies.isAnswered(goal) &&
    isDeepStrictEqual([before.policy, before.annotations], [goal.policy, goal.annotations])
  if (!isSamePolicy) await context.policies.replace(goal)
}

const currentSettings = ({ ports, bandwidth, annotations, policy }: PodRecord): PodSettings => ({
  ports,
  bandwidth,
  annotations,
  ...(policy ? { policy } : {}),
})
