import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { builtWorkspace } from '../../../.dev/built-workspace.ts'

/** The published packages as they would be published, in the directories of the workspace. */
export const built = builtWorkspace()
/** The command line there. */
export const bin = join(built, 'packages/cli/bin/podwire.js')
const made: string[] = []

afterAll(() => {
  for (const dir of made) rmSync(dir, { recursive: true, force: true })
})

/** A directory of a test's own with these files in it, and the command line run there. */
export function project(files: Record<string, unknown> = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'podwire-cli-'))
  made.push(dir)
  const env = { ...process.env, PODWIRE_CONFIG: '', NO_COLOR: '1' }
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(dir, path, '..'), { recursive: true })
    writeFileSync(join(dir, path), typeof content === 'string' ? content : JSON.stringify(content))
  }
  return {
    dir,
    podwire: (...args: string[]) => {
      const { status, stdout, stderr } = spawnSync(process.execPath, [bin, ...args], {
        cwd: dir,
        env,
        encoding: 'utf8',
      })
      return { status, stdout, stderr }
    },
    start: (...args: string[]) =>
      spawn(process.execPath, [bin, ...args], { cwd: dir, env, stdio: ['ignore', 'pipe', 'pipe'] }),
  }
}

const exec = `#!/bin/sh
case $1 in
  setup) nsenter --net="$PODWIRE_NETNS" ip address add 192.0.2.7/24 dev lo ;;
  status) echo '{"ip":"192.0.2.7"}' ;;
esac
`

/** A configuration whose plugin is a script that puts one address on the pod's loopback. */
export const withScript = {
  'podwire.config.json': {
    networkPlugin: 'example.com/script',
    stateDir: './state',
    discovery: { packages: [join(built, 'plugins/exec')] },
    plugins: { exec: { directory: './exec', capabilities: ['portMappings', 'shaping'] } },
  },
  'exec/example.com~script/script': exec,
}

/** A configuration whose plugin does nothing but say an address, with what `methods` (JavaScript) changes of it. */
export function withPlugin(methods: string): Record<string, unknown> {
  return {
    'podwire.config.json': { networkPlugin: 'odd', stateDir: './state' },
    'node_modules/podwire-plugin-odd/package.json': {
      name: 'podwire-plugin-odd',
      version: '1.0.0',
      type: 'module',
      exports: './index.js',
      podwire: { apiVersion: 1 },
    },
    'node_modules/podwire-plugin-odd/index.js': `
const plugin = {
  name: 'odd',
  init: async () => {},
  event() {},
  capabilities: () => 0,
  setUpPod: async () => ({ ip: '192.0.2.9' }),
  tearDownPod: async () => {},
  getPodNetworkStatus: async () => undefined,
  status: async () => {},
  ${methods}
}
export default { apiVersion: 1, probe: () => [plugin] }
`,
  }
}

/** How a started command line ends, and what it said. */
export async function ended(child: ChildProcess) {
  let stdout = ''
  let stderr = ''
  child.stdout?.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr?.on('data', (chunk) => {
    stderr += chunk
  })
  // What once() resolves with is the event's arguments.
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  return { code, signal, stdout, stderr }
}
