import { setTimeout as sleep } from 'node:timers/promises'

/** After SIGTERM, how long a process group may take to end by itself. Milliseconds. */
const graceMs = 1_000

const running = new Set<number>()

/**
 * Remembers a group for as long as it runs: what a host that exits leaves running would change networks behind its
 * successor's back. Returns how to forget it.
 */
export function trackProcessGroup(leader: number): () => void {
  if (!process.listeners('exit').includes(killAll)) process.on('exit', killAll)
  running.add(leader)
  return () => running.delete(leader)
}

/** Ends a process group: politely, and after a grace period for good. Resolves when it is gone, or was killed. */
export async function endProcessGroup(leader: number): Promise<void> {
  if (!signalGroup(leader, 'SIGTERM')) return
  for (const end = performance.now() + graceMs; performance.now() < end; ) {
    await sleep(20)
    if (!signalGroup(leader, 0)) return
  }
  signalGroup(leader, 'SIGKILL')
}

function killAll(): void {
  for (const leader of running) signalGroup(leader, 'SIGKILL')
}

/** Whether there was anything to signal. */
function signalGroup(leader: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-leader, signal)
  } catch {
    return false
  }
}
