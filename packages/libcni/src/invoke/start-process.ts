import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { isMainThread } from 'node:worker_threads'
import { loadPosixSpawn } from './posix-spawn.ts'

/** A program that runs, the leader of a process group of its own. */
export interface RunningProcess {
  readonly pid: number
  readonly stdout: Readable
  readonly stderr: Readable
  /** Resolves when it has ended; children of it may still hold its pipes. */
  readonly ended: Promise<ProcessEnd>
}

/** How a program ended; neither is known where somebody else waited for it. */
export interface ProcessEnd {
  readonly exitCode?: number
  readonly signal?: NodeJS.Signals
}

/** Starts a program without arguments and writes to its stdin. Rejects with the system's error where it can't. */
export type StartProcess = (path: string, stdin: string, env: NodeJS.ProcessEnv) => Promise<RunningProcess>

// Loading what starts programs quickly takes as long as that is quicker for this many.
const worthLoadingAfter = 5

let starts = 0
let quick: StartProcess | undefined | null

/**
 * Node forks: the kernel copies the tables of all of its memory, and each page again that is written to. A VERSION call takes
 * 3 ms at the median in a process of 80 MB and 6 ms in one of 180 MB; by posix_spawn, which shares memory until the program
 * runs, 1.9 ms in both. execa adds half as much again to Node's.
 */
export const startProcess: StartProcess = (path, stdin, env) => {
  // A worker hears no SIGCHLD.
  if (quick === undefined && starts++ >= worthLoadingAfter) quick = (isMainThread && loadPosixSpawn()) || null
  return (quick ?? startByNode)(path, stdin, env)
}

export const startByNode: StartProcess = async (path, stdin, env) => {
  const child = spawn(path, [], { env, detached: true, stdio: 'pipe' })
  const ended = new Promise<ProcessEnd>((resolve) => {
    child.once('exit', (exitCode, signal) =>
      resolve({ ...(exitCode === null ? {} : { exitCode }), ...(signal && { signal }) }),
    )
  })
  // A plugin may exit, or close its stdin, without having read it.
  child.stdin.on('error', () => {})
  child.stdin.end(stdin)
  await once(child, 'spawn')
  const { pid = 0, stdout, stderr } = child // it has one once it is spawned
  return { pid, stdout, stderr, ended }
}
