import { readdirSync, statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { errors } from '../errors.ts'
import { isNamespaceAlive } from './context.ts'
import type { NetnsIdentity } from './netns.ts'
import type { ProcessIdentity, SandboxRecord } from './record.ts'

/** The process of this number, as long as it lives; undefined when there is none. */
export async function processIdentity(pid: number): Promise<ProcessIdentity | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  // The command's name may hold spaces and brackets; the fields after its last bracket hold none.
  const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const startTime = fields[18]
  // A zombie has ended, though its parent hasn't asked yet.
  return startTime && state !== 'Z' ? { pid, startTime } : undefined
}

/** Whether it still runs. */
export async function isProcessAlive({ pid, startTime }: ProcessIdentity): Promise<boolean> {
  return (await processIdentity(pid))?.startTime === startTime
}

/** The processes in a network namespace, this one never among them. */
export function processesIn(netns: NetnsIdentity): number[] {
  return processesByNetns().get(keyOf(netns)) ?? []
}

const keyOf = ({ dev, ino }: NetnsIdentity) => `${dev}:${ino}`

/** Looks at each process of the machine once. */
function processesByNetns(): Map<string, number[]> {
  const found = new Map<string, number[]>()
  for (const name of readdirSync('/proc')) {
    const pid = Number(name)
    if (!Number.isInteger(pid) || pid === process.pid) continue
    const netns = netnsOf(pid)
    if (!netns) continue
    const key = keyOf(netns)
    const pids = found.get(key)
    if (pids) pids.push(pid)
    else found.set(key, [pid])
  }
  return found
}

function netnsOf(pid: number): NetnsIdentity | undefined {
  try {
    return statSync(`/proc/${pid}/ns/net`)
  } catch {
    // It has ended, or is somebody's whom this host may not look at, and so not in a sandbox of its own.
    return undefined
  }
}

let nextLook: Promise<Map<string, number[]>> | undefined

/** Shared by all that ask in the same turn: of many pods that go together each would look at every process. */
function lookSoon(): Promise<Map<string, number[]>> {
  nextLook ??= nextTurn().then(() => {
    nextLook = undefined
    return processesByNetns()
  })
  return nextLook
}

const killDeadlineMs = 5_000

/**
 * Kills what runs in a sandbox, again until nothing is left: what is killed may have forked a moment before.
 * @throws PodwireError `PROCESSES_REMAIN` when some do not end
 */
export async function killProcessesOf(record: SandboxRecord): Promise<void> {
  const { pod, netnsIdentity } = record
  // Once its network namespace has gone, the kernel may give the number to another.
  if (!netnsIdentity || !isNamespaceAlive(record)) return
  const started = performance.now()
  for (let delayMs = 1; ; delayMs = Math.min(delayMs * 2, 50)) {
    const pids = (await lookSoon()).get(keyOf(netnsIdentity)) ?? []
    if (pids.length === 0) return
    for (const pid of pids) kill(pid)
    if (performance.now() - started > killDeadlineMs) {
      const { namespace, name } = pod
      throw errors.PROCESSES_REMAIN({ pod: { namespace, name }, pids })
    }
    await sleep(delayMs)
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}
