import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { realpath } from 'node:fs/promises'
import { dirname } from 'node:path'
import { errors } from '../subject/errors.ts'

/**
 * A network, a process table, a /run and a /var/lib that nobody else sees. Plugins run in it as on a host, and what they
 * leave goes with it: at `close`, or when this process dies, however it dies.
 */
export interface Testbed {
  /** Starts a program in it, as leader of a process group of its own. */
  spawn(program: string, args: readonly string[], env: NodeJS.ProcessEnv): ChildProcess
  /** Runs a shell script in it and returns its stdout; rejects with its stderr when it fails. */
  sh(script: string): Promise<string>
  close(): Promise<void>
}

// A testbed has its own of these.
const hidden = ['/run', '/var/lib'] as const

/**
 * Makes a {@link Testbed}.
 * @param programs stay visible where they lie in a directory that is hidden
 * @throws PodwireError `CNI_TEST_NO_NAMESPACES`
 */
export async function openTestbed(programs: readonly string[] = []): Promise<Testbed> {
  const isRoot = process.getuid?.() === 0
  const user = isRoot ? [] : ['--user', '--map-root-user']
  // Where a link is as well as where it leads to.
  const files = [...programs, ...(await Promise.all(programs.map((program) => realpath(program))))]
  const kept = [...new Set(files.map(dirname))].filter((directory) =>
    hidden.some((path) => directory === path || directory.startsWith(`${path}/`)),
  )
  const holder = spawn(
    'unshare',
    [
      ...user,
      '--net',
      '--mount',
      '--pid',
      '--fork',
      '--kill-child',
      '--mount-proc',
      'sh',
      '-c',
      setUp,
      'sh',
      ...kept,
    ],
    { stdio: ['pipe', 'pipe', 'pipe'], detached: true },
  )
  holder.stdin.on('error', () => {})
  await isReady(holder)
  const enter = [
    `--target=${holder.pid}`,
    // Who isn't root may not change groups, and is root in there without it.
    ...(isRoot ? [] : ['--user', '--preserve-credentials']),
    '--net',
    '--mount',
    // The holder's parent stands outside of the process table that it made.
    `--pid=/proc/${holder.pid}/ns/pid_for_children`,
    '--',
  ]
  const start: Testbed['spawn'] = (program, args, env) =>
    spawn('nsenter', [...enter, program, ...args], { env, stdio: 'pipe', detached: true })
  return {
    spawn: start,
    async sh(script) {
      const child = start('sh', ['-c', script], process.env)
      child.stdin?.end()
      const [stdout, stderr, [code]] = await Promise.all([
        text(child.stdout),
        text(child.stderr),
        once(child, 'close'),
      ])
      if (code === 0) return stdout
      throw new Error(stderr.trim() || `sh ended with ${code}`)
    },
    async close() {
      if (holder.exitCode !== null || holder.signalCode !== null) return
      const closed = once(holder, 'close')
      holder.stdin.end()
      await closed
    },
  }
}

// It is process 1 in there, and all else ends with it. It ends when its stdin does, which the kernel sees to. What stays
// visible is held open by descriptors while it is hidden.
const setUp = `
set -e
n=3
for directory; do eval "exec $n<\\"\\$directory\\""; n=$((n + 1)); done
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/lib
mount -t sysfs sysfs /sys 2>/dev/null || true
n=3
for directory; do mkdir -p "$directory"; mount --no-canonicalize --bind "/proc/$$/fd/$n" "$directory"; n=$((n + 1)); done
mkdir -p /run/netns
ip link set lo up
echo ready
while read -r _; do :; done
`

async function isReady(holder: ChildProcess): Promise<void> {
  const stderr = text(holder.stderr)
  const ready = new Promise<boolean>((resolve) => {
    holder.once('error', () => resolve(false))
    holder.once('exit', () => resolve(false))
    holder.stdout?.once('data', () => resolve(true))
  })
  if (await ready) return
  const reason = holder.pid === undefined ? 'there is no unshare' : (await stderr).trim()
  throw errors.CNI_TEST_NO_NAMESPACES({ reason: reason || 'unshare failed' })
}

async function text(stream: NodeJS.ReadableStream | null): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream ?? []) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks).toString('utf8')
}
