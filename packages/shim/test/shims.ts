import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isIsolated } from '@podwire/testing'
import { afterAll, afterEach, beforeAll, describe } from 'vitest'
import { formatShimSettings, readShim, type Shim, type ShimSettings, shimSettingsPath } from '../src/index.ts'

const packageDir = new URL('..', import.meta.url).pathname

/** Root of a user namespace has no other user there. */
export const hasOtherUsers =
  isIsolated() && /^\s*0\s+0\s+4294967295/.test(readFileSync('/proc/self/uid_map', 'utf8'))

/** Somebody who may do nothing here. */
export const SOMEBODY = 12_345

/** What C leaves undefined ends the native shim at once: `npm run test:faults -- --shim`. */
const isSanitized = process.env['PODWIRE_FAULTS'] === 'all'

export const hasCompiler = spawnSync('gcc', ['--version']).status === 0

/** Of what neither Node nor a shell starts. */
export const hasPython = spawnSync('python3', ['--version']).status === 0

/** A directory of the test, short enough for sockets. */
export function makeDir(): string {
  return mkdtempSync(join(isIsolated() ? '/run' : tmpdir(), 'shim-'))
}

/** Runs one of the package's scripts; returns what it said. */
export function script(name: string, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(packageDir, name), ...args], {
    cwd: packageDir,
    encoding: 'utf8',
  })
  return { status, said: stdout + stderr }
}

export interface CallOptions {
  /** All that there is of an environment. */
  readonly env?: Readonly<Record<string, string>>
  readonly stdin?: string | Buffer
  /** stdin is not ended. */
  readonly keepsStdin?: boolean
  readonly args?: readonly string[]
  /** Another name of it. */
  readonly path?: string
  /** Called once it runs. */
  readonly onStart?: (kill: (signal: NodeJS.Signals) => void) => void
}

/** How a call ended. */
export interface Call {
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  readonly ms: number
}

/** A shim as it is installed, in a directory of its own. */
export interface InstalledShim {
  readonly kind: Shim['kind']
  readonly dir: string
  readonly path: string
  readonly socket: string
  readonly journal: string
  configure(settings: ShimSettings): void
  call(options?: CallOptions): Promise<Call>
}

/** What a runtime sets. */
export const environment = (
  command: string,
  more: Readonly<Record<string, string>> = {},
): Record<string, string> => ({
  CNI_COMMAND: command,
  CNI_CONTAINERID: 'c1',
  CNI_NETNS: '/run/netns/c1',
  CNI_IFNAME: 'eth0',
  CNI_PATH: '/opt/cni/bin',
  ...more,
})

export const configuration = '{"cniVersion":"1.0.0","name":"pods","type":"podwire"}'

/** The same tests over both shims. Native ones need a compiler. */
export function describeShims(name: string, tests: (install: () => Promise<InstalledShim>) => void): void {
  for (const kind of isSanitized ? (['native'] as const) : (['native', 'node'] as const))
    describe.skipIf(kind === 'native' && !hasCompiler)(`${name}: ${kind}`, () => {
      tests(useShim(kind))
    })
}

/** Builds it once for the tests here; each gets one that is installed anew. */
export function useShim(kind: Shim['kind']): () => Promise<InstalledShim> {
  const built = join(makeDir(), 'shim')
  const dirs: string[] = []
  beforeAll(() => {
    const sanitize = isSanitized ? ['--sanitize'] : []
    const { status, said } =
      kind === 'native'
        ? script('compile.mjs', process.arch, built, ...sanitize)
        : script('bundle-node-shim.mjs', built)
    if (status !== 0) throw new Error(said)
  })
  afterEach(() => {
    for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true })
  })
  afterAll(() => rmSync(join(built, '..'), { recursive: true, force: true }))

  return async () => {
    const dir = makeDir()
    dirs.push(dir)
    const path = join(dir, 'podwire')
    writeFileSync(path, await readShim({ path: built, kind }), { mode: 0o755 })
    const shim = {
      kind,
      dir,
      path,
      socket: join(dir, 'podwire.sock'),
      journal: join(dir, 'state', 'journal'),
      configure: (settings: ShimSettings) =>
        writeFileSync(shimSettingsPath(path), formatShimSettings(settings), { mode: 0o644 }),
      call: (options: CallOptions = {}) => call(options.path ?? path, options),
    }
    shim.configure({ socket: shim.socket, journal: shim.journal, deadlineMs: 20_000 })
    return shim
  }
}

function call(path: string, options: CallOptions): Promise<Call> {
  const { env = environment('ADD'), stdin = configuration, keepsStdin = false, args = [] } = options
  const start = performance.now()
  const child = spawn(path, args, { env, stdio: 'pipe' })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  // It may end without reading all of it.
  child.stdin.on('error', () => {})
  if (keepsStdin) child.stdin.write(stdin)
  else child.stdin.end(stdin)
  options.onStart?.((signal) => child.kill(signal))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (status, signal) => {
      child.stdin.destroy()
      resolve({ status, signal, stdout, stderr, ms: performance.now() - start })
    })
  })
}
