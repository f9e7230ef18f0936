import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { isMainThread } from 'node:worker_threads'
import { loadPosixSpawn } from './posix-spawn.ts'
import type { ProcessEnd, StartProcess } from './running-process.ts'

// To load the quick way takes as long as it saves for this many.
const worthLoadingAfter = 5

let starts = 0
let loadsLeft = 3
let quick: StartProcess | undefined

/**
 * Node forks: the kernel copies the tables of all of its memory, and each page again that is written to. A VERSION call takes
 * 3 ms at the median in a process of 80 MB and 6 ms in one of 180 MB; by posix_spawn, which shares memory until the program
 * runs, 1.9 ms in both. execa adds half as much again to Node's. An ADD of bridge, host-local and portmap as a whole takes 0.83
 * of the time with 100 MB in use and 0.73 with 400 MB (`spawn` among the benchmarks).
 */
export const startProcess: StartProcess = (path, stdin, env) => {
  // A worker hears no SIGCHLD. What fails to load once may have lacked a free file.
  if (!quick && isMainThread && starts++ >= worthLoadingAfter && loadsLeft-- > 0) quick = loadPosixSpawn()
  // Node looks for a name without a directory in PATH.
  return (quick ?? startByNode)(resolve(path), stdin, env)
}

export const startByNode: StartProcess = async (path, stdin, env) => {
  const child = spawn(path, [], { env, detached: true, stdio: 'pipe' })
  const ended = new Promise<ProcessEnd>((resolve) => {
    child.once('exit', (exitCode, signal) =>
      resolve({ ...(exitCode === null ? {} : { exitCode }), ...(signal && { signal }) }),
    )
  })
  const spawned = once(child, 'spawn')
  // Where no file is free for it there is none, whatever the type says. A plugin may exit, or close it, without having read it.
  child.stdin?.on('error', () => {})
  child.stdin?.end(stdin)
  await spawned
  const { pid = 0, stdout, stderr } = child // it has one once it is spawned
  return { pid, stdin: child.stdin, stdout, stderr, ended }
}
