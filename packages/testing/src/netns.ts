import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** A network namespace of a test. */
export interface TestNetns {
  readonly name: string
  /** `/run/netns/NAME` */
  readonly path: string
  /** Runs a command inside and returns what it printed on stdout; rejects when it fails, with its stderr. */
  run(file: string, ...args: string[]): Promise<string>
  /** Runs `ip -j ARGS` inside: `ip('addr', 'show', 'dev', 'eth0')`. See {@link ipJson}. */
  ip(...args: string[]): Promise<Record<string, unknown>[]>
}

/** The namespaces of a test, removed together. */
export interface NetnsFixture {
  /** Makes a namespace with a name that nobody else has, its loopback up. */
  add(): Promise<TestNetns>
  /** Removes every namespace made; one that is gone already is fine. Give it to `afterEach`. */
  removeAll(): Promise<void>
}

/**
 * Whether the tests run in network and mount namespaces of their own, where they may do what they like:
 * `describe.runIf(isIsolated())`. The runner says so with `PODWIRE_TEST_ISOLATED=1`.
 */
export function isIsolated(): boolean {
  return process.env.PODWIRE_TEST_ISOLATED === '1'
}

/** Namespaces for a whole test: `const netns = useNetns(); afterEach(netns.removeAll); … await netns.add()`. */
export function useNetns(): NetnsFixture {
  const added = new Set<string>()
  return {
    async add() {
      const name = `podwire-test-${randomBytes(5).toString('hex')}`
      await run('ip', ['netns', 'add', name])
      added.add(name)
      const netns = testNetns(name)
      await netns.run('ip', 'link', 'set', 'lo', 'up')
      return netns
    },
    async removeAll() {
      const names = [...added]
      added.clear()
      const removals = await Promise.allSettled(names.map(remove))
      const failures = removals.flatMap((removal) => (removal.status === 'rejected' ? [removal.reason] : []))
      if (failures.length > 0)
        throw new AggregateError(failures, 'Some network namespaces of the test remain')
    },
  }
}

/** Runs `use` with a namespace that is removed afterwards, whatever happens. */
export async function withTempNetns<Result>(use: (netns: TestNetns) => Promise<Result>): Promise<Result> {
  const fixture = useNetns()
  try {
    return await use(await fixture.add())
  } finally {
    await fixture.removeAll()
  }
}

/**
 * Runs `ip -j ARGS` in the current namespace and returns the objects it prints; none where it prints nothing.
 * @throws Error with what `ip` said
 */
export async function ipJson(...args: string[]): Promise<Record<string, unknown>[]> {
  return parseIp((await run('ip', ['-j', ...args])).stdout)
}

function testNetns(name: string): TestNetns {
  const inside = async (file: string, ...args: string[]) =>
    (await run('ip', ['netns', 'exec', name, file, ...args])).stdout
  return {
    name,
    path: `/run/netns/${name}`,
    run: inside,
    ip: async (...args) => parseIp(await inside('ip', '-j', ...args)),
  }
}

function parseIp(printed: string): Record<string, unknown>[] {
  // ip prints `[{},{},{"ifindex":2}]`: an empty object for each link that its filter left out.
  const objects: Record<string, unknown>[] = printed.trim() === '' ? [] : JSON.parse(printed)
  return objects.filter((object) => Object.keys(object).length > 0)
}

async function remove(name: string): Promise<void> {
  const { stdout } = await run('ip', ['netns', 'list'])
  const exists = stdout.split('\n').some((line) => line.split(' ', 1)[0] === name)
  if (exists) await run('ip', ['netns', 'delete', name])
}
