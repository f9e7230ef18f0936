import { isDeepStrictEqual } from 'node:util'
import { messageOf, type Pod, podKey } from '@podwire/api'
import { shape } from '../shaping/shaping.ts'
import { podDifferences } from './check.ts'
import type { SetUpContext } from './context.ts'
import { shapedLinkOf } from './links.ts'
import { type PodRecord, type PodSettings, publishedFor } from './record.ts'
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
  const wanted: PodSettings = { ports: pod.portMappings, bandwidth: pod.bandwidth ?? {} }
  const differences = await podDifferences(context, record)
  const isSame = isDeepStrictEqual(settingsOf(record), wanted)
  if (differences.length === 0 && isSame) return record
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
  await apply(context, record, record, 'unknown')
  return record
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
  const after: PodRecord = { ...before, ...wanted }
  // What the kernel may hold stands in the record before the kernel does, the leftovers of a change cut short included.
  const ports = [...(changing?.ports ?? []), ...wanted.ports]
  const begun: PodRecord = { ...before, changing: { ports, bandwidth: wanted.bandwidth } }
  records.write(begun)
  try {
    await apply(context, begun, after, isUncertain ? 'unknown' : before.bandwidth)
    signal.throwIfAborted()
  } catch (error) {
    await takeBack(context, begun, before)
    throw error
  }
  records.write(after)
  return after
}

async function takeBack(context: SetUpContext, begun: PodRecord, before: PodRecord) {
  try {
    await apply(context, begun, before, 'unknown')
    context.records.write(before)
  } catch (error) {
    // The first error is the one to tell. The record says what there may be, and the next set-up or tear-down sees to it.
    context.log.error(`kubenet could not take back a change of pod ${podKey(before)}: ${messageOf(error)}`)
  }
}

async function apply(
  context: SetUpContext,
  begun: PodRecord,
  goal: PodRecord,
  limits: PodSettings['bandwidth'] | 'unknown',
) {
  // First, as these are what is refused now and then.
  await context.hostPorts.change(publishedFor(begun), goal)
  const link = await shapedLinkOf(context, goal)
  if (link) await shape(context.kernel, link, limits, goal.bandwidth)
}

const settingsOf = ({ ports, bandwidth }: PodRecord): PodSettings => ({ ports, bandwidth })
