import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type LoadedConfig, loadConfig } from '@podwire/core'
import { type DaemonOptions, startDaemon } from '@podwire/daemon'
import { recordingLogger } from '@podwire/testing'
import { afterEach } from 'vitest'
import { connectNetworkHost } from '../src/index.ts'

const undo: (() => unknown)[] = []

afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
  // Each test has a state directory of its own, and the network namespaces are everybody's.
  spawnSync('ip', ['-all', 'netns', 'delete'])
})

/** Runs after the test, the last first. */
export function afterThis(step: () => unknown): void {
  undo.push(step)
}

/** The source of a plugin package whose plugin says an address, with what `methods` changes of it. */
export function pluginCode(methods = ''): string {
  return `
    const plugin = {
      name: 'odd', init: async () => {}, event() {}, capabilities: () => 0,
      setUpPod: async () => ({ ip: '192.0.2.9' }), tearDownPod: async () => {},
      getPodNetworkStatus: async () => undefined, status: async () => {},
      ${methods}
    }
    export default { apiVersion: 1, options: { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } }, probe: ({ options }) => [{ ...plugin, options }] }
  `
}

/** A directory with a configuration and the plugin that it names. */
export function configured(methods = '', config: object = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'podwire-daemon-'))
  afterThis(() => rmSync(dir, { recursive: true, force: true }))
  const packageDir = join(dir, 'node_modules/podwire-plugin-odd')
  mkdirSync(packageDir, { recursive: true })
  const manifest = { name: 'podwire-plugin-odd', version: '1.0.0', type: 'module', exports: './index.js' }
  writeFileSync(join(packageDir, 'package.json'), JSON.stringify({ ...manifest, podwire: { apiVersion: 1 } }))
  writeFileSync(join(packageDir, 'index.js'), pluginCode(methods))
  const file = join(dir, 'podwire.config.json')
  // Where a test may look into the plugin, and nothing has to be started for it.
  const base = { networkPlugin: 'odd', stateDir: './state', isolation: 'none' }
  const configure = (more: object) => writeFileSync(file, JSON.stringify({ ...base, ...more }))
  configure(config)
  const load = (): Promise<LoadedConfig> => loadConfig({ file })
  return { dir, file, stateDir: join(dir, 'state'), configure, load }
}

/** A daemon in this process, with a plugin of the test's own, and a host over its socket. */
export async function startTestDaemon(
  methods = '',
  config: object = {},
  options: Partial<DaemonOptions> = {},
) {
  const files = configured(methods, config)
  const log = recordingLogger()
  const daemon = await startDaemon({ load: files.load, log, version: '0.0.0', env: {}, ...options })
  afterThis(() => daemon.stop(0))
  const host = await connectNetworkHost({ socket: daemon.socket, log })
  afterThis(() => host.close())
  return { ...files, log, daemon, host }
}

/** Waits until something holds; half a minute is the end of it. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const began = performance.now()
  while (!(await holds())) {
    if (performance.now() - began > 30_000) throw new Error(`not so after 30 s: ${holds}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
