import { messageOf, podKey } from '@podwire/api'
import type { SandboxRecord } from '../state/sandbox-record.ts'
import { netnsPathOf, removeNamespace } from './namespaces.ts'
import { isProcessAlive } from './process-identity.ts'
import { isNamespaceAlive, type Sandboxes } from './sandboxes.ts'
import { takeDown } from './tear-down.ts'

/**
 * Puts right what earlier processes left: intents without a result and half tear-downs are taken down, so are pods
 * whose namespace is gone, and a record that can't be read is set aside, its pod taken down. A pod that another process
 * works on now is left to it. A tear-down that fails again is reported, and keeps its record.
 */
export async function recoverSandboxes(room: Sandboxes): Promise<void> {
  room.store.sweep()
  const { records, unreadable } = room.store.list()
  for (const { file, sandboxId, reason } of unreadable) {
    const movedTo = room.store.setAside(file)
    room.warn(`${file}: ${reason}; its pod is taken down by its sandbox id, and the file kept as ${movedTo}`)
    room.events.emit('state:set-aside', { file, movedTo, reason })
    await takeDownUnread(room, sandboxId).catch((error: unknown) =>
      room.warn(
        `sandbox ${sandboxId}: its tear-down failed, and part of its network may remain: ${messageOf(error)}`,
      ),
    )
  }
  for (const record of records) {
    if ((await whyRecover(record)) === undefined) continue
    try {
      await room.lock.tryRun(podKey(record.pod), () => recoverOne(room, record.pod.sandboxId))
    } catch (error) {
      room.warn(
        `pod ${podKey(record.pod)}: recovery failed, and is tried again at the next start: ${messageOf(error)}`,
      )
    }
  }
}

// The file's name says which sandbox it was. Its plugin is most likely the one that is active still; where the host made
// its namespace, it lies under the sandbox's name.
async function takeDownUnread({ active }: Sandboxes, sandboxId: string): Promise<void> {
  await active.tearDownPod({ namespace: 'unknown', name: 'unknown', sandboxId })
  await removeNamespace(netnsPathOf(sandboxId))
}

// What was read before the lock was held may be done by now.
async function recoverOne(room: Sandboxes, sandboxId: string): Promise<void> {
  const record = room.store.get(sandboxId)
  const why = record && (await whyRecover(record))
  if (!record || !why) return
  await takeDown(room, record)
  const { namespace, name } = record.pod
  room.events.emit('sandbox:recovered', { pod: { namespace, name, sandboxId }, why })
}

async function whyRecover(record: SandboxRecord): Promise<string | undefined> {
  if (record.phase === 'setting-up') return 'its set-up never finished'
  if (record.phase === 'tearing-down') return 'its tear-down never finished'
  if (record.owner && !(await isProcessAlive(record.owner))) return 'the process that it belonged to is gone'
  if (!isNamespaceAlive(record)) return 'its network namespace is gone'
  return undefined
}
