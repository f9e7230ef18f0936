import { podKey } from '@podwire/api'
import type { SandboxRecord } from '../state/sandbox-record.ts'
import { removeNamespace } from './namespaces.ts'
import type { PodName } from './pod-request.ts'
import { findRecord, type Sandboxes } from './sandboxes.ts'

/** Takes a pod's network and sandbox away. A pod that isn't there is success. */
export async function tearDownSandbox(room: Sandboxes, pod: PodName, signal?: AbortSignal): Promise<void> {
  const operation = async () => {
    const record = findRecord(room.store, pod)
    if (record) await takeDown(room, record, signal)
  }
  await room.lock.run(podKey(pod), operation, signal)
}

/**
 * The tear-down itself, for a caller that holds the pod's lock. The record goes last: until then, whatever fails is
 * tried again by the next process.
 */
export async function takeDown(
  { store, events, managerOf }: Sandboxes,
  record: SandboxRecord,
  signal?: AbortSignal,
): Promise<void> {
  const { namespace, name, sandboxId } = record.pod
  const about = { plugin: record.plugin, pod: { namespace, name, sandboxId } }
  const started = performance.now()
  events.emit('pod:teardown:start', about)
  try {
    store.write({ ...record, phase: 'tearing-down' })
    const manager = await managerOf(record.plugin)
    await manager.tearDownPod(about.pod, signal)
    if (record.ownsNetns) await removeNamespace(record.netns)
    store.remove(record)
    events.emit('pod:teardown:done', { ...about, durationMs: performance.now() - started })
  } catch (error) {
    events.emit('pod:teardown:failed', { ...about, durationMs: performance.now() - started, error })
    throw error
  }
}
