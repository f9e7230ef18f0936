import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { NetworkPlugin, Pod } from '@podwire/api'
import { fakeHost, fakePod, recordingLogger } from '@podwire/testing'
import { afterEach, beforeEach } from 'vitest'
import cni from '../src/index.ts'

const initOptions = { hairpinMode: 'none', nonMasqueradeCIDR: '10.0.0.0/8', mtu: 0 } as const

/** A path that is a network namespace for certain; the scripted plugins touch none. */
export const someNetns = '/proc/self/ns/net'

/** One run of a scripted plugin. */
export interface RecordedCall {
  readonly type: string
  readonly command: string
  readonly containerId: string
  readonly ifName: string
  readonly netns: string
  readonly args: string
  readonly stdin: Readonly<Record<string, unknown>>
}

/**
 * A configuration directory, a directory of plugins written in sh that record each call, and a host. A plugin of type
 * TYPE fails its COMMAND with what lies in `TYPE.COMMAND.error`, and sleeps in it while there is `TYPE.COMMAND.sleep`.
 */
export function useScriptedCni() {
  const plugins: NetworkPlugin[] = []
  const fixture = {
    directory: '',
    log: recordingLogger(),
    host: fakeHost(),
    file: (...names: string[]) => join(fixture.directory, ...names),

    async write(name: string, content: unknown): Promise<void> {
      const path = fixture.file(name)
      await mkdir(dirname(path), { recursive: true })
      await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content))
    },
    remove: (name: string) => rm(fixture.file(name), { recursive: true, force: true }),

    /** Writes a network configuration list of plugins: `network('10-a.conflist', 'a', [{ type: 'first' }])`. */
    network: (file: string, name: string, list: object[], more: object = {}) =>
      fixture.write(`net.d/${file}`, { cniVersion: '1.0.0', name, plugins: list, ...more }),

    async script(type: string, bin = 'bin', address = '10.1.0.5/24'): Promise<void> {
      await fixture.write(`${bin}/${type}`, scriptedPlugin(type, fixture.directory, address))
      await chmod(fixture.file(bin, type), 0o755)
    },
    fail: (type: string, command: string, message: string, code = 999) =>
      fixture.write(`${type}.${command}.error`, { cniVersion: '1.0.0', code, msg: message }),

    /** Those of loopback are left out: whether lo is up already, and is left alone, is up to where the tests run. */
    async calls(): Promise<RecordedCall[]> {
      return (await fixture.allCalls()).filter(({ type }) => type !== 'loopback')
    },
    async allCalls(): Promise<RecordedCall[]> {
      const text = await readFile(fixture.file('calls'), 'utf8').catch(() => '')
      return text.split('\n').filter(Boolean).map(parseCall)
    },
    /** `ADD first eth0`, in order, without those of loopback; forgotten afterwards. */
    async takeCalls(): Promise<string[]> {
      const calls = await fixture.calls()
      await fixture.remove('calls')
      return calls.map(({ command, type, ifName }) => `${command} ${type} ${ifName}`.trim())
    },

    /** A pod whose sandbox the host knows. */
    pod(pod: Partial<Pod> = {}): Pod {
      const made = fakePod({ sandboxId: 's1', netns: someNetns, ...pod })
      fixture.host.sandboxes.set(made.sandboxId, made.netns)
      return made
    },
    async plugin(options: Record<string, unknown> = {}): Promise<NetworkPlugin> {
      const given = {
        confDir: 'net.d',
        binDirs: ['bin'],
        cacheDir: 'cache',
        vendorPrefix: 'vendor',
        ...options,
      }
      const parsed = await cni.options?.['~standard'].validate(given)
      if (!parsed || parsed.issues) throw new Error(`options: ${JSON.stringify(parsed?.issues)}`)
      const { directory, log, host } = fixture
      const context = { options: parsed.value, configDir: directory, stateDir: directory, log }
      const [plugin] = await cni.probe(context)
      if (!plugin) throw new Error('no plugin was offered')
      plugins.push(plugin)
      await plugin.init(host, initOptions)
      return plugin
    },
  }

  beforeEach(async () => {
    fixture.directory = await mkdtemp(join(tmpdir(), 'podwire-cni-'))
    fixture.log = recordingLogger()
    fixture.host = fakeHost()
    await fixture.script('loopback', 'bin', '127.0.0.1/8')
    await fixture.script('first')
    await fixture.script('second')
    await mkdir(fixture.file('net.d'))
  })
  afterEach(async () => {
    await Promise.all(plugins.splice(0).map((plugin) => plugin.close?.()))
    await rm(fixture.directory, { recursive: true, force: true })
  })
  return fixture
}

function parseCall(line: string): RecordedCall {
  const [type = '', command = '', containerId = '', ifName = '', netns = '', args = '', stdin = ''] =
    line.split('\t')
  return { type, command, containerId, ifName, netns, args, stdin: JSON.parse(stdin) }
}

function scriptedPlugin(type: string, directory: string, address: string): string {
  return `#!/bin/sh
cd '${directory}'
stdin=$(cat)
printf '${type}\\t%s\\t%s\\t%s\\t%s\\t%s\\t%s\\n' \\
  "$CNI_COMMAND" "$CNI_CONTAINERID" "$CNI_IFNAME" "$CNI_NETNS" "$CNI_ARGS" "$stdin" >> calls
while [ -e ${type}.$CNI_COMMAND.sleep ]; do sleep 0.05; done
[ -e ${type}.$CNI_COMMAND.error ] && cat ${type}.$CNI_COMMAND.error && exit 1
[ "$CNI_COMMAND" = ADD ] || exit 0
printf '{"cniVersion":"0.4.0","interfaces":[{"name":"%s","mac":"02:00:00:00:00:01","sandbox":"%s"}],' "$CNI_IFNAME" "$CNI_NETNS"
printf '"ips":[{"version":"4","address":"${address}","interface":0}],"dns":{}}'
`
}
