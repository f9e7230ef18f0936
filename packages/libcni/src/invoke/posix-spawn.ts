import { closeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { Socket } from 'node:net'
import { constants } from 'node:os'
import { getSystemErrorName } from 'node:util'
import type { ProcessEnd, StartProcess } from './running-process.ts'

const O_CLOEXEC = 0x80000
const WNOHANG = 1
const POSIX_SPAWN_SETSIGDEF = 0x04
const POSIX_SPAWN_SETSIGMASK = 0x08
const POSIX_SPAWN_SETSID = 0x80
const spawnFlags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID

// Longer than glibc's and musl's own: 80, 336 and 128 bytes.
const fileActions = new Uint8Array(256)
const attributes = new Uint8Array(512)
// sigfillset leaves two out, which glibc would then make the program ignore.
const allSignals = new Uint8Array(256).fill(0xff)
const noSignals = new Uint8Array(256)

const shell = '/bin/sh'

// A signal may be missed where others take its handlers away; then an end is seen this much later.
const reapMs = 100

/** `posix_spawn` of the C library, through koffi; undefined where that is not installed or can't be loaded. */
export function loadPosixSpawn(): StartProcess | undefined {
  try {
    return createPosixSpawn(createRequire(import.meta.url)('koffi'))
  } catch {
    return undefined
  }
}

function createPosixSpawn(koffi: typeof import('koffi')): StartProcess {
  const libc = koffi.load(null)
  const pipe2 = libc.func('int pipe2(void *, int)')
  const addDup2 = libc.func('int posix_spawn_file_actions_adddup2(void *, int, int)')
  const initActions = libc.func('int posix_spawn_file_actions_init(void *)')
  const destroyActions = libc.func('int posix_spawn_file_actions_destroy(void *)')
  const posixSpawn = libc.func(
    'int posix_spawn(void *, const char *, void *, void *, const char **, const char **)',
  )
  libc.func('int posix_spawnattr_init(void *)')(attributes)
  libc.func('int posix_spawnattr_setflags(void *, short)')(attributes, spawnFlags)
  libc.func('int posix_spawnattr_setsigdefault(void *, void *)')(attributes, allSignals)
  libc.func('int posix_spawnattr_setsigmask(void *, void *)')(attributes, noSignals)
  const waitFor = createReaper(libc.func('int waitpid(int, void *, int)'))

  function spawn(path: string, env: NodeJS.ProcessEnv, stdio: readonly number[]): number {
    const pid = new Int32Array(1)
    const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`)
    const torn = [path, ...variables].find((text) => text.includes('\0'))
    if (torn !== undefined) throw new TypeError(`${JSON.stringify(torn)} holds a null byte`)
    initActions(fileActions)
    try {
      for (const [fd, source] of stdio.entries()) addDup2(fileActions, source, fd)
      const run = (program: string, args: string[]) =>
        posixSpawn(pid, program, fileActions, attributes, [...args, null], [...variables, null])
      let errno = run(path, [path])
      // A script that names no interpreter is the shell's, as it is to Node.
      if (errno === constants.errno.ENOEXEC) errno = run(shell, [shell, path])
      if (errno !== 0) throw systemError('spawn', errno, path)
    } finally {
      destroyActions(fileActions)
    }
    return pid[0] ?? 0
  }

  return async (path, stdin, env) => {
    const opened: number[] = []
    const openPipe = () => {
      const ends = new Int32Array(2)
      if (pipe2(ends, O_CLOEXEC) === -1) throw systemError('pipe2', koffi.errno(), path)
      opened.push(...ends)
      return ends as unknown as readonly [read: number, write: number] // both were just written
    }
    try {
      const [input, output, errors] = [openPipe(), openPipe(), openPipe()]
      const theirs = [input[0], output[1], errors[1]]
      const pid = spawn(path, env, theirs)
      const ended = waitFor(pid)
      for (const fd of theirs) closeSync(fd)
      opened.length = 0
      const writer = new Socket({ fd: input[1], readable: false, writable: true })
      // A plugin may exit, or close its stdin, without having read it.
      writer.on('error', () => {})
      writer.end(stdin)
      const [stdout, stderr] = [output[0], errors[0]].map(
        (fd) => new Socket({ fd, readable: true, writable: false }),
      ) as [Socket, Socket]
      return { pid, stdin: writer, stdout, stderr, ended }
    } catch (error) {
      for (const fd of opened) closeSync(fd)
      throw error
    }
  }
}

/** Waits for children by their process IDs, which leaves everybody else's alone. */
function createReaper(waitpid: (pid: number, status: Int32Array, options: number) => number) {
  const children = new Map<number, (end: ProcessEnd) => void>()
  const status = new Int32Array(1)
  let timer: NodeJS.Timeout | undefined

  function reap() {
    for (const [pid, resolve] of children) {
      const found = waitpid(pid, status, WNOHANG)
      if (found === 0) continue
      children.delete(pid)
      resolve(found === pid ? endOf(status[0] ?? 0) : {})
    }
    if (children.size > 0) return
    clearInterval(timer)
    timer = undefined
  }

  return (pid: number) =>
    new Promise<ProcessEnd>((resolve) => {
      if (!process.listeners('SIGCHLD').includes(reap)) process.on('SIGCHLD', reap)
      children.set(pid, resolve)
      // It keeps this process alive as well, which listening to a signal does not.
      timer ??= setInterval(reap, reapMs)
    })
}

// Of a number with two names the first is the usual one.
const signalNames = new Map(
  Object.entries(constants.signals)
    .map(([name, number]) => [number, name] as const)
    .reverse(),
)

/** What waitpid's status says. */
function endOf(status: number): ProcessEnd {
  const signal = status & 0x7f
  if (signal === 0) return { exitCode: (status >> 8) & 0xff }
  return { signal: (signalNames.get(signal) ?? `SIG${signal}`) as NodeJS.Signals } // a number that Node has no name for
}

function systemError(syscall: string, errno: number, path: string): NodeJS.ErrnoException {
  const code = getSystemErrorName(-errno)
  return Object.assign(new Error(`${syscall} ${path} ${code}`), { errno: -errno, code, syscall, path })
}
