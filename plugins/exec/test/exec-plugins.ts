import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { NetworkPlugin } from '@podwire/api'
import { fakeHost, fakePod, recordingLogger } from '@podwire/testing'
import { afterEach, beforeEach } from 'vitest'
import exec from '../src/index.ts'

export const initOptions = {
  hairpinMode: 'hairpin-veth',
  nonMasqueradeCIDR: '10.0.0.0/8',
  mtu: 1400,
} as const

/** The pod `default/web` in the sandbox `s1`. */
export const pod = fakePod({ sandboxId: 's1', annotations: { tier: 'front end' } })

/** A directory of plugins for each test, with a host that knows {@link pod}. */
export function useExecPlugins() {
  const fixture = {
    directory: '',
    log: recordingLogger(),
    host: fakeHost(),
    file: (name: string) => join(fixture.directory, name),
    read: (name: string) => readFile(fixture.file(name), 'utf8'),
    async write(directoryName: string, body: string, mode = 0o755) {
      const directory = join(fixture.directory, 'plugins', directoryName)
      await mkdir(directory, { recursive: true })
      const executable = join(directory, directoryName.split('~').at(-1) ?? '')
      await writeFile(executable, `#!/bin/sh\n${body}\n`)
      await chmod(executable, mode)
      return executable
    },
    async probe(options: Record<string, unknown> = {}): Promise<NetworkPlugin[]> {
      const parsed = await exec.options?.['~standard'].validate({ directory: './plugins', ...options })
      if (!parsed || parsed.issues) throw new Error(`options: ${JSON.stringify(parsed?.issues)}`)
      const { directory: configDir, log } = fixture
      return exec.probe({ options: parsed.value, configDir, stateDir: '/none', log })
    },
    /** A plugin `acme.io/net` of this script, initialised. `$T` in the script is a directory for its files. */
    async plugin(body: string): Promise<NetworkPlugin> {
      await fixture.write('acme.io~net', `T='${fixture.directory}'\n${body}`)
      const [plugin] = await fixture.probe()
      if (!plugin) throw new Error('no plugin was found')
      await plugin.init(fixture.host, initOptions)
      return plugin
    },
  }
  beforeEach(async () => {
    fixture.directory = await mkdtemp(join(tmpdir(), 'podwire-exec-'))
    fixture.log = recordingLogger()
    fixture.host = fakeHost({ pods: [pod] })
  })
  afterEach(() => rm(fixture.directory, { recursive: true, force: true }))
  return fixture
}
