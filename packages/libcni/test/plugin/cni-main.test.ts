import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Json, type JsonObject, parseNetworkConfigList } from '@podwire/libcni'
import { parseCniArgs } from '@podwire/libcni/plugin'
import { buildSync } from 'esbuild'
import { afterAll, describe, expect, it } from 'vitest'
import { attachment, playground } from '../support/playground.ts'

const directory = mkdtempSync(join(tmpdir(), 'podwire-cni-main-'))
const program = join(directory, 'plugin.mjs')
buildSync({
  entryPoints: [new URL('../support/recorded-plugin.ts', import.meta.url).pathname],
  outfile: program,
  bundle: true,
  platform: 'node',
  format: 'esm',
  splitting: false,
  conditions: ['podwire-source'],
})
afterAll(() => rmSync(directory, { recursive: true }))

const environment = {
  CNI_CONTAINERID: 'c1',
  CNI_NETNS: '/nowhere/ns',
  CNI_IFNAME: 'eth0',
  CNI_PATH: directory,
}
const config = (fields: JsonObject = {}): string =>
  JSON.stringify({ name: 'net1', cniVersion: '1.0.0', type: 'x', ...fields })

function call(command: string | undefined, stdin: string, env: Record<string, string | undefined> = {}) {
  const { stdout, stderr, status } = spawnSync(process.execPath, [program], {
    input: stdin,
    encoding: 'utf8',
    maxBuffer: 1e8,
    env: { PATH: process.env.PATH, ...environment, CNI_COMMAND: command, ...env },
  })
  return { status, stderr, printed: stdout === '' ? undefined : (JSON.parse(stdout) as JsonObject) }
}

describe('what ends with an error', () => {
  const cases: [
    string,
    command: string,
    stdin: string,
    env: Record<string, string | undefined>,
    error: JsonObject,
  ][] = [
    [
      'all that is missing at once',
      'ADD',
      config(),
      { CNI_CONTAINERID: undefined, CNI_IFNAME: '' },
      { code: 4, msg: 'required env variables [CNI_CONTAINERID,CNI_IFNAME] missing', cniVersion: '1.1.0' },
    ],
    [
      'no namespace for ADD',
      'ADD',
      config(),
      { CNI_NETNS: '' },
      { code: 4, msg: 'required env variables [CNI_NETNS] missing' },
    ],
    [
      'no path for GC',
      'GC',
      config({ cniVersion: '1.1.0' }),
      { CNI_PATH: '' },
      { code: 4, msg: 'required env variables [CNI_PATH] missing' },
    ],
    ['an unknown command', 'FROB', config(), {}, { code: 4, msg: 'unknown CNI_COMMAND: FROB' }],
    [
      'a command every object has',
      'toString',
      config(),
      {},
      { code: 4, msg: 'unknown CNI_COMMAND: toString' },
    ],
    ['no JSON', 'ADD', 'x', {}, { code: 6 }],
    ['no object', 'ADD', '[]', {}, { code: 6 }],
    ['nothing', 'ADD', '', {}, { code: 6 }],
    ['deep JSON', 'ADD', '['.repeat(100_000), {}, { code: 6 }],
    ['no name', 'ADD', '{"cniVersion":"1.0.0"}', {}, { code: 7, msg: 'missing network name: ""' }],
    ['a bad name', 'ADD', config({ name: '../x' }), {}, { code: 7 }],
    ['a bad container ID', 'ADD', config(), { CNI_CONTAINERID: '../x' }, { code: 4, cniVersion: '1.0.0' }],
    ['a bad interface', 'DEL', config(), { CNI_IFNAME: 'a/b' }, { code: 4 }],
    ['a version nobody could read', 'ADD', config({ cniVersion: 'x' }), {}, { code: 6 }],
    [
      'a version it does not speak',
      'ADD',
      config({ cniVersion: '0.3.0' }),
      {},
      { code: 1, msg: 'incompatible CNI versions', cniVersion: '1.1.0' },
    ],
    [
      'no version, which is 0.1.0',
      'ADD',
      config({ cniVersion: '' }),
      {},
      { code: 1, details: expect.stringContaining('config is "0.1.0"') },
    ],
    [
      'CHECK of an old version',
      'CHECK',
      config({ cniVersion: '0.3.1' }),
      {},
      { code: 1, msg: 'config version does not allow CHECK', cniVersion: '0.3.1' },
    ],
    ['GC of an old version', 'GC', config(), {}, { code: 1, msg: 'config version does not allow GC' }],
    [
      'STATUS of an old version',
      'STATUS',
      config(),
      {},
      { code: 1, msg: 'config version does not allow STATUS' },
    ],
    [
      'a typed error',
      'ADD',
      config({ throws: 'typed', cniVersion: '0.4.0' }),
      {},
      { cniVersion: '0.4.0', code: 11, msg: 'busy', details: 'come back' },
    ],
    [
      'any other error',
      'ADD',
      config({ throws: 'any' }),
      {},
      { cniVersion: '1.0.0', code: 999, msg: 'surprise' },
    ],
    [
      'an error in a callback',
      'ADD',
      config({ throws: 'later' }),
      {},
      { cniVersion: '1.0.0', code: 999, msg: 'too late' },
    ],
    [
      'a rejection that nobody awaits',
      'ADD',
      config({ throws: 'aside' }),
      {},
      { cniVersion: '1.0.0', code: 999, msg: 'on the side' },
    ],
    [
      'a wait that never ends',
      'ADD',
      config({ hangs: true }),
      {},
      { cniVersion: '1.0.0', code: 999, msg: 'the plugin ended before it answered' },
    ],
    ['thrown text', 'ADD', config({ throws: 'text' }), {}, { code: 999, msg: 'just text' }],
    [
      'no result',
      'ADD',
      config({ pass: true }),
      {},
      { code: 999, msg: expect.stringContaining('no prevResult') },
    ],
    [
      'a prevResult that is not a result',
      'ADD',
      config({ prevResult: { ips: 7 } }),
      {},
      { code: 6, msg: expect.stringContaining('could not parse prevResult') },
    ],
    [
      'unknown arguments',
      'ADD',
      config({ known: true }),
      { CNI_ARGS: 'K8S_POD_NAME=a;X=y' },
      { code: 4, msg: expect.stringContaining('X=y') },
    ],
    ["the plugin's own namespace", 'ADD', config(), { CNI_NETNS: '/proc/self/ns/net' }, { code: 8 }],
    ["DEL in the plugin's own namespace", 'DEL', config(), { CNI_NETNS: '/proc/self/ns/net' }, { code: 8 }],
    [
      'a status',
      'STATUS',
      config({ cniVersion: '1.1.0', down: true }),
      {},
      { cniVersion: '1.1.0', code: 50, msg: 'down' },
    ],
    [
      'GC of a list of something else',
      'GC',
      config({ cniVersion: '1.1.0', 'cni.dev/valid-attachments': [{ id: 1 }] }),
      {},
      { code: 7 },
    ],
    [
      'a delegate that is not there',
      'ADD',
      config({ ipam: 'gone' }),
      {},
      { code: 7, msg: expect.stringContaining('failed to find plugin "gone"') },
    ],
  ]
  it.each(cases)('%s', (_, command, stdin, env, error) => {
    const { status, printed } = call(command, stdin, env)
    expect(printed).toMatchObject(error)
    expect(status).toBe(1)
  })
})

describe('what succeeds', () => {
  it('about, without a command', () => {
    const { status, stderr, printed } = call(undefined, '')
    expect({ status, printed }).toEqual({ status: 0, printed: undefined })
    expect(stderr).toBe(
      'CNI plugin recorded v1\nCNI protocol versions supported: 0.2.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0\n',
    )
  })

  it('VERSION, with nothing in its environment or on stdin', () => {
    const nothing = {
      CNI_CONTAINERID: undefined,
      CNI_NETNS: undefined,
      CNI_IFNAME: undefined,
      CNI_PATH: undefined,
    }
    expect(call('VERSION', '', nothing).printed).toEqual({
      cniVersion: '1.1.0',
      supportedVersions: ['0.2.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'],
    })
  })

  it.each([
    ['0.2.0', { ip4: { ip: '10.0.0.1/8' } }],
    ['0.3.1', { ips: [{ version: '4', address: '10.0.0.1/8' }] }],
    ['1.0.0', { ips: [{ address: '10.0.0.1/8' }] }],
    ['1.1.0', { ips: [{ address: '10.0.0.1/8' }] }],
  ])('ADD, answered in %s', (cniVersion, expected) => {
    const { status, printed } = call('ADD', config({ cniVersion }))
    expect(printed).toMatchObject({ cniVersion, ...expected })
    expect(status).toBe(0)
  })

  it.each(['CHECK', 'DEL', 'STATUS', 'GC'])('%s, which prints nothing', (command) => {
    const prevResult = { cniVersion: '1.0.0', ips: [{ address: '10.0.0.1/8' }] }
    const valid = [{ containerID: 'a', ifname: 'b' }]
    const stdin = config({ cniVersion: '1.1.0', prevResult, 'cni.dev/valid-attachments': valid })
    expect(call(command, stdin)).toMatchObject({ status: 0, printed: undefined })
  })

  it('DEL without a namespace', () => {
    expect(call('DEL', config(), { CNI_NETNS: '' }).status).toBe(0)
  })

  it.each(['1', 'true', 'TRUE'])('its own namespace where CNI_NETNS_OVERRIDE=%s', (CNI_NETNS_OVERRIDE) => {
    expect(call('ADD', config(), { CNI_NETNS: '/proc/self/ns/net', CNI_NETNS_OVERRIDE }).status).toBe(0)
  })

  it('passing prevResult on, in any version', () => {
    const prevResult = { cniVersion: '0.4.0', ips: [{ version: '4', address: '10.0.0.9/8' }], dns: {} }
    expect(call('ADD', config({ cniVersion: '0.4.0', pass: true, prevResult })).printed).toEqual(prevResult)
  })

  it('runtimeConfig in the spelling of the conventions, whatever came', () => {
    const runtimeConfig = {
      PortMappings: [{ HostPort: 80, hostPort: 81, ContainerPort: 8080, HostIP: '' }],
      bandwidth: { IngressRate: 1 },
      dns: { Servers: ['a'] },
      'example.com/X': { Y: 1 },
    }
    const { printed } = call('ADD', config({ runtimeConfig }))
    const seen = JSON.parse(String((printed!['dns'] as JsonObject)['domain']))
    expect(seen.runtimeConfig).toEqual({
      portMappings: [{ HostPort: 80, hostPort: 81, containerPort: 8080, hostIP: '' }],
      bandwidth: { ingressRate: 1 },
      dns: { servers: ['a'] },
      'example.com/X': { Y: 1 },
    })
  })

  it('a configuration in any case', () => {
    const prevResult = { CNIVersion: '0.3.1', IPs: [{ Version: '4', Address: '10.0.0.9/8' }] }
    const stdin = { Name: 'net1', CNIVersion: '0.3.1', Type: 'x', pass: true, PrevResult: prevResult }
    expect(call('ADD', JSON.stringify(stdin)).printed).toEqual({
      cniVersion: '0.3.1',
      ips: [{ version: '4', address: '10.0.0.9/8' }],
      dns: {},
    })
    const valid = [{ ContainerId: 'a', IfName: 'b' }]
    const gc = { name: 'net1', cniVersion: '1.1.0', 'CNI.dev/valid-attachments': valid }
    expect(call('GC', JSON.stringify(gc))).toMatchObject({ status: 0 })
  })

  it('2 MB of result through a pipe', () => {
    const { printed } = call('ADD', config({ big: true }))
    expect(((printed!['interfaces'] as Json[])[0] as JsonObject)['name']).toHaveLength(2_000_000)
  })

  it('in a chain, delegating to a plugin beside it', async () => {
    const play = await playground()
    await play.install('ipam')
    const path = await play.install('typed')
    writeFileSync(path, `#!/bin/sh\nexec '${process.execPath}' '${program}'\n`)
    const network = parseNetworkConfigList(config({ plugins: [{ type: 'typed', ipam: 'ipam', own: [1] }] }))
    expect(await play.cni.add(network, attachment)).toEqual({
      cniVersion: '1.0.0',
      ips: [{ address: '10.9.0.2/24' }],
    })
    await play.cni.del(network, attachment)
    const calls = await play.calls()
    expect(calls.map(({ plugin, command }) => `${plugin} ${command}`)).toEqual(['ipam ADD', 'ipam DEL'])
    expect(calls[0]).toMatchObject({
      config: { name: 'net1', own: [1], type: 'typed' },
      env: { CNI_CONTAINERID: 'c1', CNI_IFNAME: 'eth0' },
    })
    await play.remove()
  })
})

describe('CNI_ARGS', () => {
  it.each<[string, object]>([
    ['', {}],
    ['A=1', { A: '1' }],
    ['A=1;B=', { A: '1', B: '' }],
    ['IgnoreUnknown=1;X=y;A=2', { A: '2' }],
    ['X=y;IgnoreUnknown=true', {}],
    ['X=y;IgnoreUnknown=True', {}],
    ['IgnoreUnknown=0;A=1', { A: '1' }],
    ['IgnoreUnknown=1;__proto__=x', {}],
  ])('%j', (text, expected) => {
    expect(parseCniArgs(text, ['A', 'B'])).toEqual(expected)
  })

  it.each(['X=y', 'A', 'A=1;', 'A=1=2', '=1', 'IgnoreUnknown=0;X=y', 'IgnoreUnknown=maybe', 'toString=1'])(
    '%j is refused',
    (text) => {
      expect(() => parseCniArgs(text, ['A', 'B'])).toThrow(expect.objectContaining({ cniCode: 4 }))
    },
  )
})
