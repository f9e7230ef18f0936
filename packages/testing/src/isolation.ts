import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { messageOf } from '@podwire/api'
import { errors } from './errors.ts'

/** What a process in namespaces of its own gets. */
export interface IsolatedOptions {
  readonly env: NodeJS.ProcessEnv
  readonly cwd: string
  /** Paths that stay as they are: what lies under /run or /var/lib keeps that directory from being hidden. */
  readonly visible: readonly string[]
}

// Where plugins and what they call leave files.
const hideable = ['/run', '/var/lib']

/**
 * Starts a program with a network, a process table, a /run and a /var/lib that nobody else sees, as root or else as the
 * root of a user namespace. All of it goes with the returned process, however that ends. Its stdout and stderr are piped,
 * and it has an IPC channel.
 */
export function spawnIsolated(
  program: string,
  args: readonly string[],
  { env, cwd, visible }: IsolatedOptions,
): ChildProcess {
  const hidden = hideable.filter((path) => !visible.some((one) => one.startsWith(`${path}/`)))
  const set = [
    'set -e',
    ...hidden.map((path) => `mount -t tmpfs tmpfs ${path}`),
    'mount -t sysfs sysfs /sys 2>/dev/null || true',
    'mkdir -p /run/netns',
    'ip link set lo up',
    // The shell stays as process 1, which has to bury what others leave.
    '"$@"',
  ].join('\n')
  return spawn('unshare', [...namespaces(), 'sh', '-c', set, 'sh', program, ...args], {
    env,
    cwd,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
}

/**
 * Makes sure that this machine gives namespaces.
 * @throws PodwireError `NO_NAMESPACES`
 */
export async function assertCanIsolate(): Promise<void> {
  const script = 'mount -t tmpfs tmpfs /run && mkdir /run/netns && ip link set lo up && ip netns add probe'
  await new Promise<void>((resolve, reject) => {
    execFile('unshare', [...namespaces(), 'sh', '-c', script], (error, _stdout, stderr) => {
      if (error) reject(errors.NO_NAMESPACES({ reason: stderr.trim() || messageOf(error) }, error))
      else resolve()
    })
  })
}

function namespaces(): string[] {
  const user = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user']
  return [...user, '--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc']
}
