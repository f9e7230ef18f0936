import { isPodwireError, messageOf, type Pod, podKey, podRef } from '@podwire/api'
import { callSetUp } from './call-set-up.ts'
import type { SandboxContext } from './context.ts'
import type { SandboxRecord } from './record.ts'

/**
 * Changes a pod that is ready, an intent first like a set-up: a host that is killed meanwhile leaves a record that says
 * what the pod was, and the next one makes it so again. A change that fails leaves the pod and its record as they were.
 */
export async function changePod(
  context: SandboxContext,
  kept: SandboxRecord,
  pod: Pod,
  signal?: AbortSignal,
): Promise<SandboxRecord> {
  const manager = await context.managerOf(kept)
  const changing: SandboxRecord = { ...kept, pod, previous: kept.pod, phase: 'changing' }
  context.store.write(changing)
  try {
    return await callSetUp(context, manager, changing, signal)
  } catch (error) {
    if (wasCutOff(error)) await undoOrNote(context, changing)
    else keepAsItWas(context, kept)
    throw error
  }
}

// On a disk that became read-only the record goes on to tell of the change, and whoever reads it next undoes that.
function keepAsItWas({ store, warn }: SandboxContext, kept: SandboxRecord): void {
  try {
    store.forgetChange(kept)
  } catch (error) {
    warn(`pod ${podKey(kept.pod)} was not changed, but its record can't say so: ${messageOf(error)}`)
  }
}

// A plugin that refuses leaves the pod as it was, by the contract. One that was left behind may have done part of it.
function wasCutOff(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined
  return isPodwireError(cause) && cause.code === 'DEADLINE_EXCEEDED'
}

async function undoOrNote(context: SandboxContext, changing: SandboxRecord): Promise<void> {
  try {
    await undoChange(context, changing)
  } catch (error) {
    context.store.write({ ...changing, problem: messageOf(error) })
  }
}

/** Makes a pod what it was before a change that never finished. */
async function undoChange(context: SandboxContext, record: SandboxRecord): Promise<SandboxRecord> {
  const pod = record.previous ?? record.pod
  return callSetUp(context, await context.managerOf(record), { ...record, pod }, undefined)
}

/**
 * Ends a change that never finished: the pod is again what it was, or where that can't be had any more, what it was to
 * become. What the change gave away, a port perhaps, may be another pod's by now.
 */
export async function endChange(context: SandboxContext, record: SandboxRecord): Promise<SandboxRecord> {
  try {
    return await undoChange(context, record)
  } catch (error) {
    try {
      return await callSetUp(context, await context.managerOf(record), record, undefined)
    } catch {
      throw error
    }
  }
}

/** Sees that a pod's network is as it was set up, where the plugin can tell, and mends it where it is not. */
export async function convergePod(
  context: SandboxContext,
  record: SandboxRecord,
  signal?: AbortSignal,
): Promise<SandboxRecord> {
  const manager = await context.managerOf(record)
  const pod = podRef(record.pod)
  try {
    await manager.checkPod(pod, signal)
    return record
  } catch (error) {
    signal?.throwIfAborted()
    // Mending it here would take its DNS from whoever has it, and end it with this process.
    context.checkNames(record.pod)
    const mended = await callSetUp(context, manager, record, signal)
    context.events.emit('pod:repaired', { plugin: manager.name, pod, why: messageOf(error) })
    return mended
  }
}
