import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { inSandbox, type SandboxRecord } from 'podwire'

export interface StrangerSettings {
  /** How long it may take. */
  readonly milliseconds: number
  readonly signal: AbortSignal
  /** Where what it prints goes to. */
  readonly stdout: 1 | 2
}

/** How the command ended. */
export interface Ended {
  readonly exitCode: number
  readonly why: string
}

// Whoever it asks for a name, the sandbox's resolver answers; so it must only ask somebody, and not the host's loopback, which is
// where /etc/resolv.conf often points to. The file is mounted over that one in a mount namespace of the command's own.
const withNameServer = `mount -t tmpfs -o size=64k tmpfs /mnt &&
echo nameserver 9.9.9.9 > /mnt/resolv.conf && chmod 644 /mnt/resolv.conf &&
mount --bind /mnt/resolv.conf /etc/resolv.conf && umount /mnt || exit 125
exec "$@"`

/** Runs a command in a sandbox without privileges, where this process could have given it any. */
export async function runStranger(
  sandbox: SandboxRecord,
  command: readonly string[],
  { milliseconds, signal, stdout }: StrangerSettings,
): Promise<Ended> {
  const mounting = ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', withNameServer, 'sh']
  const [file = '', ...args] = [...mounting, ...withoutPrivileges(), ...command]
  const child = await inSandbox(sandbox, () =>
    spawn(file, args, {
      env: { PATH: process.env.PATH },
      stdio: ['ignore', stdout, 2],
      // A process group of its own, so that what it starts is stopped with it.
      detached: true,
    }),
  )
  const ended = once(child, 'exit')
  let isLate = false
  const stop = () => {
    if (child.pid !== undefined) killGroup(child.pid)
  }
  const timer = setTimeout(() => {
    isLate = true
    stop()
  }, milliseconds)
  signal.addEventListener('abort', stop)
  if (signal.aborted) stop()
  try {
    const [code, by] = await ended
    if (signal.aborted) return { exitCode: 130, why: 'interrupted' }
    if (isLate) return { exitCode: 124, why: `not done in ${milliseconds / 1000} s` }
    return { exitCode: code ?? 1, why: by ? `by ${by}` : `exit code ${code}` }
  } finally {
    // What it left behind in its group.
    stop()
    clearTimeout(timer)
    signal.removeEventListener('abort', stop)
  }
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It ended by itself.
  }
}

// A user namespace that maps one user has no other to change to.
function withoutPrivileges(): string[] {
  const isMachine = readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\s+/)[2] !== '1'
  const bare = ['setpriv', '--no-new-privs', '--bounding-set', '-all', '--inh-caps', '-all']
  return isMachine ? [...bare, '--reuid', '65534', '--regid', '65534', '--clear-groups'] : bare
}
