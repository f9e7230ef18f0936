import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'

/** A network namespace for one test, made by `ip netns`. */
export interface TempNetns {
  readonly name: string
  /** `/run/netns/NAME` */
  readonly path: string
  /** Runs a command inside and returns its output; throws when it fails. */
  run(command: string, ...args: string[]): string
  /** Runs `ip -j` inside, or another tool that prints JSON, and parses what it prints. */
  json(command: string, ...args: string[]): unknown
  /** Removes it; once more is fine. */
  remove(): void
}

/** Makes an empty network namespace with its loopback up. It needs root, in the machine or in a user namespace. */
export function createTempNetns(prefix = 'test'): TempNetns {
  const name = `${prefix}-${randomBytes(4).toString('hex')}`
  const run = (command: string, ...args: string[]) => runText('ip', ['netns', 'exec', name, command, ...args])
  runText('ip', ['netns', 'add', name])
  run('ip', 'link', 'set', 'lo', 'up')
  return {
    name,
    path: `/run/netns/${name}`,
    run,
    json: (command, ...args) => JSON.parse(run(command, ...args) || '[]'),
    remove: () => {
      try {
        runText('ip', ['netns', 'delete', name])
      } catch {
        // Removed before.
      }
    },
  }
}

/** Runs `use` with a namespace that is removed afterwards, whatever happens. */
export async function withTempNetns<T>(use: (netns: TempNetns) => T | Promise<T>): Promise<T> {
  const netns = createTempNetns()
  try {
    return await use(netns)
  } finally {
    netns.remove()
  }
}

/** Whether the test runs in namespaces of its own, so that it may change the network. */
export function isIsolated(): boolean {
  return process.env.PODWIRE_TEST_ISOLATED === '1'
}

function runText(command: string, args: readonly string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 30_000 })
}
