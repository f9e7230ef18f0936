import { readFile } from 'node:fs/promises'
import type { ProcessIdentity } from '../state/sandbox-record.ts'

/** The process of this number, as long as it lives; undefined when there is none. */
export async function processIdentity(pid: number): Promise<ProcessIdentity | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  // The command's name may hold spaces and brackets; the fields after its last bracket hold none.
  const startTime = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  return startTime ? { pid, startTime } : undefined
}

/** Whether it still runs. */
export async function isProcessAlive({ pid, startTime }: ProcessIdentity): Promise<boolean> {
  return (await processIdentity(pid))?.startTime === startTime
}
