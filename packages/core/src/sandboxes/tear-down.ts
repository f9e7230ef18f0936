import { messageOf, podKey, podRef } from '@podwire/api'
import { findRecord, type OperationOptions, type SandboxContext } from './context.ts'
import { removeNamespace } from './netns.ts'
import type { PodName } from './pod-request.ts'
import { killProcessesOf } from './processes.ts'
import type { SandboxRecord } from './record.ts'

/** How a pod is torn down. */
export interface TearDownOptions extends OperationOptions {
  /** Give up on what fails: what the host itself made goes whatever happens. */
  readonly force?: boolean | undefined
}

/**
 * Takes a pod's network and sandbox away. A pod that isn't there is success.
 * @returns what may be left, each in a sentence; only ever with `force`
 */
export async function tearDownSandbox(
  context: SandboxContext,
  pod: PodName,
  { signal, force }: TearDownOptions = {},
): Promise<string[]> {
  const operation = async () => {
    const record = findRecord(context.store, pod)
    return record ? tearDown(context, record, { signal, force }) : []
  }
  return context.lock.run(podKey(pod), operation, { signal, deadlineMs: context.deadlines.tearDownPod })
}

/**
 * The tear-down itself, for a caller that holds the pod's lock. The record goes last: until then, whatever fails is
 * tried again by the next process, and the record says why it failed.
 */
export async function tearDown(
  context: SandboxContext,
  record: SandboxRecord,
  { signal, force = false }: TearDownOptions = {},
): Promise<string[]> {
  const { events } = context
  const about = { plugin: record.plugin, pod: podRef(record.pod) }
  const started = performance.now()
  const left: string[] = []
  const attempt = async (what: string, act: () => Promise<unknown>) => {
    try {
      await act()
    } catch (error) {
      if (!force) throw error
      left.push(`${what}: ${messageOf(error)}`)
    }
  }
  events.emit('pod:teardown:start', about)
  try {
    context.store.markTearingDown(record)
  } catch (error) {
    const why = messageOf(error)
    context.warn(`pod ${podKey(record.pod)}: its record can't be renamed; it is torn down without: ${why}`)
  }
  try {
    // What runs in an adopted network namespace is somebody else's.
    if (record.ownsNetns) await attempt('processes', () => killProcessesOf(record))
    // Before its network namespace exists no plugin has heard of a pod.
    if (record.netnsIdentity) {
      await attempt('what the plugin made', async () =>
        (await context.managerOf(record)).tearDownPod(about.pod, signal),
      )
    }
    if (record.ownsNetns) await attempt(record.pod.netns, () => removeNamespace(record.pod.netns))
    await attempt('the record', async () => forget(context, record))
    events.emit('pod:teardown:done', { ...about, durationMs: performance.now() - started })
    return left
  } catch (error) {
    noteProblem(context, { ...record, phase: 'tearing-down', problem: messageOf(error) })
    events.emit('pod:teardown:failed', { ...about, durationMs: performance.now() - started, error })
    throw error
  }
}

// On a full or a read-only disk the record only says less.
function noteProblem({ store, warn }: SandboxContext, record: SandboxRecord): void {
  try {
    store.write(record)
  } catch (error) {
    warn(`pod ${podKey(record.pod)}: its record can't say what went wrong: ${messageOf(error)}`)
  }
}

// A record that stays says that the pod's network namespace is gone, and the next host to start drops it.
function forget({ store, warn }: SandboxContext, record: SandboxRecord): void {
  try {
    store.remove(record)
  } catch (error) {
    warn(`pod ${podKey(record.pod)} is gone, but its record can't be removed: ${messageOf(error)}`)
  }
}
