import { existsSync } from 'node:fs'
import { messageOf, type PodRef, podKey, podRef } from '@podwire/api'
import { convergePod } from './change.ts'
import { isNamespaceAlive, type OperationOptions, type SandboxContext } from './context.ts'
import { inParallel } from './in-parallel.ts'
import type { SandboxRecord } from './record.ts'
import { whyRecover } from './recover.ts'
import { tearDown } from './tear-down.ts'

/** What a repair found of one pod; neither of the two when it was right. */
export interface RepairResult {
  readonly pod: PodRef
  /** What was wrong, and is right again. */
  readonly repaired?: string
  /** Why it could not be put right. */
  readonly failed?: string
}

/** Sees that each pod is as it was set up, and mends what is not. */
export async function repairSandboxes(
  context: SandboxContext,
  { signal }: OperationOptions = {},
): Promise<RepairResult[]> {
  const found = context.store.list().records.filter(({ phase }) => phase === 'ready')
  return inParallel(found, (record) => repairOne(context, record, signal))
}

async function repairOne(
  context: SandboxContext,
  { pod: { sandboxId, ...pod } }: SandboxRecord,
  signal: AbortSignal | undefined,
): Promise<RepairResult> {
  const ref = podRef({ ...pod, sandboxId })
  let repaired: string | undefined
  const stop = context.events.on('pod:repaired', ({ pod: which, why }) => {
    if (which.sandboxId === sandboxId) repaired = why
  })
  const operation = async () => {
    const record = context.store.get(sandboxId)
    if (record?.phase !== 'ready') return
    if (!isNamespaceAlive(record)) throw new Error('its network namespace is gone; set it up again')
    await convergePod(context, record, signal)
  }
  try {
    await context.lock.run(podKey(pod), operation, { signal, deadlineMs: context.deadlines.setUpPod })
    return { pod: ref, ...(repaired === undefined ? {} : { repaired }) }
  } catch (error) {
    return { pod: ref, failed: messageOf(error) }
  } finally {
    stop()
  }
}

/** What a prune did with one pod. */
export interface PruneResult {
  readonly pod: PodRef
  readonly why: string
  /** Why it is still there. */
  readonly failed?: string
  /** Why it was left alone. */
  readonly kept?: string
}

export interface PruneOptions extends OperationOptions {
  /** Every pod, but those that container runtimes attached. Default: false. */
  readonly all?: boolean | undefined
  /** With `all`: those too. Default: false. */
  readonly attachments?: boolean | undefined
}

/** Tears down what nobody needs any more: pods that are stuck, whose owner has ended, whose network namespace is gone. */
export async function pruneSandboxes(
  context: SandboxContext,
  { all = false, attachments = false, signal }: PruneOptions = {},
): Promise<PruneResult[]> {
  const pruneOne = async (listed: SandboxRecord): Promise<PruneResult | undefined> => {
    const pod = podRef(listed.pod)
    let why: string | undefined
    let kept: string | undefined
    const operation = async () => {
      const record = context.store.get(pod.sandboxId)
      if (!record) return
      const asked = all ? 'all were to go' : undefined
      const found = asked && (attachments || !record.attachment) ? asked : await whyPrune(record)
      why = found ?? asked
      // Its container runs, and its runtime takes it for connected until it detaches it itself.
      if (found === undefined && asked) kept = whoseAttachment(record)
      else if (found) await tearDown(context, record, { signal })
    }
    try {
      await context.lock.run(podKey(pod), operation, { signal, deadlineMs: context.deadlines.tearDownPod })
      return why === undefined ? undefined : { pod, why, ...(kept === undefined ? {} : { kept }) }
    } catch (error) {
      return { pod, why: why ?? 'it is locked', failed: messageOf(error) }
    }
  }
  const results = await inParallel(context.store.list().records, pruneOne)
  return results.filter((result) => result !== undefined)
}

const whoseAttachment = ({ attachment }: SandboxRecord) =>
  `a container runtime attached it, as container ${attachment?.containerId} to network ${attachment?.network}`

async function whyPrune(record: SandboxRecord): Promise<string | undefined> {
  const why = await whyRecover(record)
  if (why) return why
  if (isNamespaceAlive(record)) return undefined
  return existsSync(record.pod.netns) ? 'what is at its path is not its network namespace' : undefined
}
