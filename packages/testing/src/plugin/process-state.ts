import { readdir, readFile, readlink } from 'node:fs/promises'
import type { State } from '../kernel-state/state.ts'

/** What this process holds, a line for each: descriptors, what keeps its event loop going, processes that it started. */
export async function readProcessState(): Promise<{ descriptors: State; handles: State; processes: State }> {
  const [descriptors, processes] = await Promise.all([readDescriptors(), readProcesses()])
  return { descriptors, processes, handles: process.getActiveResourcesInfo().filter(isLasting).sort() }
}

// Requests end by themselves; the reads above are some.
function isLasting(resource: string): boolean {
  return !/Req|Immediate/.test(resource)
}

async function readDescriptors(): Promise<string[]> {
  const names = await readdir('/proc/self/fd')
  const targets = await Promise.all(
    names.map((name) => readlink(`/proc/self/fd/${name}`).catch(() => undefined)),
  )
  return (
    targets
      .filter((target) => target !== undefined)
      // What reads the list is on it.
      .filter((target) => !/^\/proc\/(self|\d+)\//.test(target))
      .map((target) => `descriptor of ${target.replace(/^(socket|pipe):.*/, 'a $1')}`)
      .sort()
  )
}

async function readProcesses(): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
  const commands = await Promise.all(pids.map((pid) => commandOf(pid).catch(() => undefined)))
  return commands.filter((command) => command !== undefined).sort()
}

async function commandOf(pid: string): Promise<string | undefined> {
  const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0').filter(Boolean)
  // A process that has ended has none left.
  return words.length === 0 ? undefined : `process ${words.join(' ').slice(0, 120)}`
}
