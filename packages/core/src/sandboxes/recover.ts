import { existsSync } from 'node:fs'
import { messageOf, podKey, podRef } from '@podwire/api'
import { endChange } from './change.ts'
import { isNamespaceAlive, type SandboxContext } from './context.ts'
import { inParallel } from './in-parallel.ts'
import { netnsPathOf, removeNamespace } from './netns.ts'
import { isProcessAlive } from './processes.ts'
import type { SandboxRecord } from './record.ts'
import type { UnreadableRecord } from './store.ts'
import { tearDown } from './tear-down.ts'

/**
 * Puts right what earlier processes left: intents without a result and half tear-downs are torn down, changes undone, or
 * finished where they can't be, pods torn down whose network namespace or owner is gone, and a record that can't be read is set aside, its pod torn down. A
 * pod that another process works on now is left to it. What fails again is reported, and keeps its record.
 */
export async function recoverSandboxes(context: SandboxContext): Promise<void> {
  context.store.sweep()
  await context.lock.sweep()
  const { records, unreadable } = context.store.list()
  await inParallel(unreadable, (one) => setAside(context, one))
  await recoverAll(context, records)
}

async function recoverAll(context: SandboxContext, records: readonly SandboxRecord[]): Promise<void> {
  const again: SandboxRecord[] = []
  let recovered = 0
  const failures = new Map<SandboxRecord, unknown>()
  await inParallel(records, async (record) => {
    if ((await whyRecover(record)) === undefined) return
    try {
      await context.lock.tryRun(podKey(record.pod), () => recoverOne(context, record.pod.sandboxId))
      recovered++
    } catch (error) {
      failures.set(record, error)
    }
  })
  for (const [record, error] of failures) {
    // What it needs another pod may have had until its own change was ended just now.
    if (record.phase === 'changing' && recovered > 0) again.push(record)
    else
      context.warn(
        `pod ${podKey(record.pod)}: recovery failed, and is tried again at the next start: ${messageOf(error)}`,
      )
  }
  if (again.length > 0) await recoverAll(context, again)
}

async function setAside(
  context: SandboxContext,
  { file, sandboxId, reason }: UnreadableRecord,
): Promise<void> {
  const movedTo = context.store.setAside(file)
  const fate = sandboxId === undefined ? '' : 'its pod is torn down by its sandbox id, and '
  context.warn(`${file}: ${reason}; ${fate}the file is kept as ${movedTo}`)
  context.events.emit('state:set-aside', { file, movedTo, reason })
  if (sandboxId === undefined) return
  try {
    // Its plugin is most likely the one that is active still; where the host made its network namespace, it lies under the
    // sandbox's name.
    const { manager } = await context.active()
    await manager.tearDownPod({ namespace: 'unknown', name: 'unknown', sandboxId })
    await removeNamespace(netnsPathOf(sandboxId))
  } catch (error) {
    context.warn(
      `sandbox ${sandboxId}: its tear-down failed, and part of its network may remain: ${messageOf(error)}`,
    )
  }
}

// What was read before the lock was held may be done by now.
async function recoverOne(context: SandboxContext, sandboxId: string): Promise<void> {
  const record = context.store.get(sandboxId)
  const why = record && (await whyRecover(record))
  if (!record || !why) return
  if (await isHalfChanged(record)) await endChange(context, record)
  else await tearDown(context, record)
  context.events.emit('sandbox:recovered', { pod: podRef(record.pod), why })
}

async function isHalfChanged(record: SandboxRecord): Promise<boolean> {
  const isOrphan = record.owner !== undefined && !(await isProcessAlive(record.owner))
  return record.phase === 'changing' && !isOrphan && isNamespaceAlive(record)
}

/** Why a sandbox can't stay as it is; undefined when it can. */
export async function whyRecover(record: SandboxRecord): Promise<string | undefined> {
  if (record.phase === 'setting-up') return 'its set-up never finished'
  if (record.phase === 'tearing-down') return 'its tear-down never finished'
  if (record.owner && !(await isProcessAlive(record.owner))) return 'the process that it belonged to is gone'
  if (record.phase === 'changing') return 'a change of it never finished'
  if (isNamespaceAlive(record)) return undefined
  // A file without a network namespace is what hosts in another mount namespace look like from here.
  return record.ownsNetns && existsSync(record.pod.netns) ? undefined : 'its network namespace is gone'
}
