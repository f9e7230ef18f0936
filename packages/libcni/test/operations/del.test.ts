import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type JsonObject, parseNetworkConfigList } from '@podwire/libcni'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { attachment, failureOf, type Playground, playground } from '../support/playground.ts'

let play: Playground
const entry = () => join(play.cache, 'results', 'net1-c1-eth0')
beforeEach(async () => {
  play = await playground()
  for (const name of ['one', 'two', 'three']) await play.install(name)
})
afterEach(() => play.remove())

const listOf = (types: string[], more: JsonObject = {}) =>
  parseNetworkConfigList(
    JSON.stringify({ name: 'net1', cniVersion: '1.0.0', plugins: types.map((type) => ({ type })), ...more }),
  )
const calledSince = async (count: number) => (await play.calls()).slice(count)

describe('DEL', () => {
  it('runs in reverse with the result of ADD, and forgets', async () => {
    const network = listOf(['one', 'two', 'three'])
    await play.cni.add(network, attachment)
    await play.cni.del(network, attachment)
    const calls = await calledSince(3)
    expect(calls.map(({ plugin, command }) => `${plugin} ${command}`)).toEqual([
      'three DEL',
      'two DEL',
      'one DEL',
    ])
    for (const { config } of calls)
      expect(config['prevResult']).toEqual({ cniVersion: '1.0.0', ips: [{ address: '10.9.0.2/24' }] })
    expect(await play.cacheFiles()).toEqual([])
  })

  it('is fine twice, and without an ADD', async () => {
    const network = listOf(['one'])
    await play.cni.del(network, attachment)
    await play.cni.del(network, attachment)
    expect((await play.calls()).map(({ config }) => config['prevResult'])).toEqual([undefined, undefined])
  })

  const versions: [string, boolean][] = [
    ['0.1.0', false],
    ['0.2.0', false],
    ['0.3.0', false],
    ['0.3.1', false],
    ['0.4.0', true],
    ['1.0.0', true],
    ['1.1.0', true],
  ]
  it.each(versions)('of %s hands over prevResult: %s', async (cniVersion, given) => {
    const old = `echo '{"cniVersion":"${cniVersion}","ip4":{"ip":"10.9.0.2/24"},"ips":[{"version":"4","address":"10.9.0.2/24"}]}'`
    await play.install('one', { ADD: old })
    const network = listOf(['one'], { cniVersion })
    await play.cni.add(network, attachment)
    await play.cni.del(network, attachment)
    const [call] = await calledSince(1)
    expect(call!.config['prevResult'] !== undefined).toBe(given)
    if (given) expect(call!.config['prevResult']).toMatchObject({ cniVersion })
  })

  it('stops at the first failure and keeps the cache', async () => {
    const network = listOf(['one', 'two', 'three'])
    await play.cni.add(network, attachment)
    await play.install('two', { DEL: `echo '{"code":999,"msg":"stuck"}'; exit 1` })
    const error = await failureOf(play.cni.del(network, attachment))
    expect(error.message).toContain('plugin type="two" name="net1" failed (del): stuck')
    expect((await calledSince(3)).map(({ plugin }) => plugin)).toEqual(['three', 'two'])
    expect(await play.cacheFiles()).toEqual(['net1-c1-eth0'])
  })

  it('goes by the configuration, arguments and namespace that ADD had', async () => {
    const before = { ...attachment, args: [['A', 'b']] as const, capabilityArgs: { c: 1 } }
    const plugins = [{ type: 'one', mode: 'old', capabilities: { c: true } }]
    await play.cni.add(listOf([], { plugins }), before)
    await play.cni.del(listOf(['two']), { containerId: 'c1', ifName: 'eth0' })
    const [call] = await calledSince(1)
    expect(call).toMatchObject({
      plugin: 'one',
      command: 'DEL',
      config: { mode: 'old', runtimeConfig: { c: 1 } },
    })
    expect(call!.env).toMatchObject({ CNI_ARGS: 'A=b', CNI_NETNS: '/run/netns/c1' })
  })

  it("goes by the caller's configuration where told", async () => {
    await play.cni.add(listOf(['one']), attachment)
    await play.cni.del(listOf(['two']), attachment, { configFrom: 'caller' })
    expect((await calledSince(1)).map(({ plugin }) => plugin)).toEqual(['two'])
  })

  it('needs no more than a name when the configuration is gone', async () => {
    await play.cni.add(listOf(['one', 'two']), attachment)
    await play.cni.del('net1', attachment)
    expect((await calledSince(2)).map(({ plugin }) => plugin)).toEqual(['two', 'one'])
    await play.cni.del('net1', attachment)
    expect(await calledSince(4)).toEqual([])
  })

  it('lets the caller say that the namespace is gone', async () => {
    await play.cni.add(listOf(['one']), attachment)
    await play.cni.del('net1', { ...attachment, netns: '' })
    expect((await calledSince(1))[0]!.env['CNI_NETNS']).toBe('')
  })

  it('follows an ADD that never ended', async () => {
    await play.cni.add(listOf(['one']), attachment)
    const { result: _, ...intent } = JSON.parse(await readFile(entry(), 'utf8'))
    await writeFile(entry(), JSON.stringify(intent))
    expect((await play.cni.cached('net1', attachment))?.result).toBeUndefined()
    await play.cni.del('net1', attachment)
    expect((await calledSince(1))[0]!.config['prevResult']).toBeUndefined()
    expect(await play.cacheFiles()).toEqual([])
  })

  const corrupt: [string, content: string][] = [
    ['empty', ''],
    ['cut off', '{"kind":"cniCacheV1","containerId":"c1","ifN'],
    ['zeroes', '\0'.repeat(100)],
    ['an array', '[]'],
    ['of another kind', '{"kind":"cniCacheV9"}'],
    ['about someone else', '{"kind":"cniCacheV1","containerId":"c2","ifName":"eth0","networkName":"net1"}'],
    [
      'with a config that is not JSON',
      '{"kind":"cniCacheV1","containerId":"c1","ifName":"eth0","networkName":"net1","config":"!!"}',
    ],
    [
      'with a result nobody knows',
      '{"kind":"cniCacheV1","containerId":"c1","ifName":"eth0","networkName":"net1","result":{"cniVersion":"7"}}',
    ],
    ['deeper than anything', `${'['.repeat(5000)}${']'.repeat(5000)}`],
  ]
  it.each(corrupt)(
    'goes on without a cache entry that is %s, and drops it; CHECK reports it',
    async (_, content) => {
      await play.cni.add(listOf(['one']), attachment)
      await writeFile(entry(), content)
      expect((await failureOf(play.cni.check(listOf(['one']), attachment))).code).toBe('ERR_CNI_CACHE')
      expect((await play.cni.attachments()).corrupt.map(({ file }) => file)).toEqual(['net1-c1-eth0'])
      await play.cni.del(listOf(['one']), attachment)
      expect((await calledSince(1)).map(({ config }) => config['prevResult'])).toEqual([undefined])
      expect(await play.cacheFiles()).toEqual([])
    },
  )

  it('reports a corrupt entry that is all there is to go by', async () => {
    await play.cni.add(listOf(['one']), attachment)
    await writeFile(entry(), 'x')
    expect((await failureOf(play.cni.del('net1', attachment))).code).toBe('ERR_CNI_CACHE')
    expect(await play.cacheFiles()).toEqual(['net1-c1-eth0'])
  })

  it('reads an old entry, a bare result', async () => {
    await mkdir(join(play.cache, 'results'), { recursive: true })
    await writeFile(
      entry(),
      '{"cniVersion":"0.4.0","ips":[{"version":"4","address":"10.1.2.3/24"}],"dns":{}}',
    )
    await play.cni.del(listOf(['one']), attachment)
    expect((await calledSince(0))[0]!.config['prevResult']).toEqual({
      cniVersion: '1.0.0',
      ips: [{ address: '10.1.2.3/24' }],
    })
  })

  it('is fine where the name of its entry would be too long for any file', async () => {
    const long = { ...attachment, containerId: 'c'.repeat(250) }
    await mkdir(join(play.cache, 'results'), { recursive: true })
    await play.cni.del(listOf(['one']), long)
    await play.cni.del(listOf(['one']), long)
    expect(await play.order()).toEqual(['one DEL', 'one DEL'])
    expect((await failureOf(play.cni.add(listOf(['one']), long))).code).toBe('ERR_CNI_CACHE')
    expect(await calledSince(2)).toEqual([])
  })

  it('works where the cache directory is a file', async () => {
    await rm(play.cache, { recursive: true, force: true })
    await writeFile(play.cache, '')
    await play.cni.del(listOf(['one']), attachment)
    expect(await play.order()).toEqual(['one DEL'])
  })
})

describe('CHECK', () => {
  it.each(['0.1.0', '0.2.0', '0.3.0', '0.3.1'])('does not exist in %s', async (cniVersion) => {
    const error = await failureOf(play.cni.check(listOf(['one'], { cniVersion }), attachment))
    expect(error.message).toMatch(`configuration version "${cniVersion}" does not support the CHECK command`)
    expect(await play.order()).toEqual([])
  })

  it.each(['0.4.0', '1.0.0', '1.1.0'])('gives every plugin the final result in %s', async (cniVersion) => {
    await play.install('two', { ADD: `echo '{"cniVersion":"1.0.0","ips":[{"address":"10.9.0.7/24"}]}'` })
    const network = listOf(['one', 'two'], { cniVersion })
    await play.cni.add(network, attachment)
    await play.cni.check(network, attachment)
    const calls = await calledSince(2)
    expect(calls.map(({ plugin, command }) => `${plugin} ${command}`)).toEqual(['one CHECK', 'two CHECK'])
    for (const { config } of calls)
      expect(config['prevResult']).toMatchObject({ cniVersion, ips: [{ address: '10.9.0.7/24' }] })
  })

  it.each([true, 'true', 'True'])('is not run where disableCheck is %j', async (disableCheck) => {
    await play.cni.check(listOf(['one'], { disableCheck }), attachment)
    expect(await play.order()).toEqual([])
  })

  it('goes without a result that is not cached', async () => {
    await play.cni.check(listOf(['one']), attachment)
    expect((await calledSince(0))[0]!.config['prevResult']).toBeUndefined()
  })

  it('stops at the first failure', async () => {
    await play.install('one', { CHECK: `echo '{"code":100,"msg":"gone"}'; exit 1` })
    const error = await failureOf(play.cni.check(listOf(['one', 'two']), attachment))
    expect(error).toMatchObject({ cniCode: 100, details: { command: 'CHECK', plugin: 'one' } })
    expect(await play.order()).toEqual(['one CHECK'])
  })
})

describe('GC', () => {
  const at = (containerId: string, ifName = 'eth0') => ({
    containerId,
    ifName,
    netns: `/run/netns/${containerId}`,
  })

  it('detaches what is not valid, on this network only, and tells the plugins what is', async () => {
    const network = listOf(['one', 'two'], { cniVersion: '1.1.0' })
    const other = parseNetworkConfigList(
      '{"name":"net1-b","cniVersion":"1.1.0","plugins":[{"type":"three"}]}',
    )
    for (const id of ['c1', 'c2', 'c3']) await play.cni.add(network, at(id))
    await play.cni.add(other, at('c4'))
    await play.cni.gc(network, [at('c2')])
    const calls = await calledSince(7)
    expect(
      calls.map(({ plugin, command, env }) => `${plugin} ${command} ${env['CNI_CONTAINERID'] ?? ''}`),
    ).toEqual(['two DEL c1', 'one DEL c1', 'two DEL c3', 'one DEL c3', 'one GC ', 'two GC '])
    const expected = [{ containerID: 'c2', ifname: 'eth0' }]
    for (const { config } of calls.slice(4))
      expect(config).toMatchObject({
        name: 'net1',
        'cni.dev/valid-attachments': expected,
        'cni.dev/attachments': expected,
      })
    expect(await play.cacheFiles()).toEqual(['net1-b-c4-eth0', 'net1-c2-eth0'])
  })

  it.each(['0.3.1', '0.4.0', '1.0.0'])('of %s does not run the plugins', async (cniVersion) => {
    await play.install('one', { ADD: `echo '{"cniVersion":"${cniVersion}"}'` })
    const network = listOf(['one'], { cniVersion })
    await play.cni.add(network, at('c1'))
    await play.cni.gc(network, [])
    expect(await play.order()).toEqual(['one ADD', 'one DEL'])
  })

  it.each([true, 'true'])('does nothing where disableGC is %j', async (disableGC) => {
    const network = listOf(['one'], { cniVersion: '1.1.0', disableGC })
    await play.cni.add(network, at('c1'))
    await play.cni.gc(network, [])
    expect(await play.order()).toEqual(['one ADD'])
  })

  it('runs beside nothing else on the network, while ADDs run side by side', async () => {
    const both = `[ "$(grep -c 'one ADD' "$here/calls/log")" -ge 2 ]`
    await play.install('one', { ADD: `until ${both}; do sleep 0.02; done; echo null` })
    const network = listOf(['one', 'two'], { cniVersion: '1.1.0' })
    await Promise.all([
      play.cni.add(network, at('c1')),
      play.cni.add(network, at('c2')),
      play.cni.gc(network, [at('c1'), at('c2')]),
      play.cni.add(network, at('c3')),
    ])
    const order = await play.order()
    expect(order.slice(0, 4).sort()).toEqual(['one ADD', 'one ADD', 'two ADD', 'two ADD'])
    expect(order.slice(4)).toEqual(['one GC', 'two GC', 'one ADD', 'two ADD'])
    expect(await play.cacheFiles()).toEqual(['net1-c1-eth0', 'net1-c2-eth0', 'net1-c3-eth0'])
  })

  it('goes on past errors and throws them together', async () => {
    const network = listOf(['one', 'two'], { cniVersion: '1.1.0' })
    for (const id of ['c1', 'c2']) await play.cni.add(network, at(id))
    await play.install('one', {
      DEL: `[ $CNI_CONTAINERID = c2 ] || { echo '{"code":5,"msg":"stuck"}'; exit 1; }`,
      GC: `echo '{"code":6,"msg":"no broom"}'; exit 1`,
    })
    const error = await failureOf(play.cni.gc(network, []))
    expect(error.code).toBe('ERR_CNI_SEVERAL')
    expect(error.details['errors']).toMatchObject([{ cniCode: 5 }, { cniCode: 6 }])
    expect(error.message).toMatch(/^GC of network net1 failed: .*stuck.*; .*no broom/)
    expect((await play.order()).slice(-2)).toEqual(['one GC', 'two GC'])
    expect(await play.cacheFiles()).toEqual(['net1-c1-eth0'])
  })

  it('collects a corrupt entry whose owner is certain, and spares that of a valid attachment', async () => {
    const network = listOf(['one'])
    for (const id of ['c1', 'c2', 'a-b', 'c3']) await play.cni.add(network, at(id))
    for (const name of ['net1-c2-eth0', 'net1-c3-eth0'])
      await writeFile(join(play.cache, 'results', name), '{')
    const cutOff = '{"kind":"cniCacheV1","containerId":"a-b","config":"eyJ'
    await writeFile(join(play.cache, 'results', 'net1-a-b-eth0'), cutOff)
    await play.cni.gc(network, [at('c1'), at('c3')])
    const calls = await calledSince(4)
    expect(calls.map(({ env }) => [env['CNI_CONTAINERID'], env['CNI_IFNAME']])).toEqual([
      ['a-b', 'eth0'],
      ['c2', 'eth0'],
    ])
    expect(await play.cacheFiles()).toEqual(['net1-c1-eth0', 'net1-c3-eth0'])
  })

  const oldEntry = '{"cniVersion":"0.4.0","ips":[{"version":"4","address":"10.1.2.3/24"}],"dns":{}}'
  it.each([
    ['old', oldEntry],
    ['empty', ''],
    ['cut off', '{"kind":"cniCacheV1","containerId":"c1","conf'],
  ])(
    "leaves an entry alone that is %s and another network's, whose name begins alike",
    async (_, content) => {
      await mkdir(join(play.cache, 'results'), { recursive: true })
      await writeFile(join(play.cache, 'results/net1-x-c1-eth0'), content)
      await play.cni.gc(listOf(['one']), [])
      expect(await play.order()).toEqual([])
      expect(await play.cacheFiles()).toEqual(['net1-x-c1-eth0'])
      const filesOf = async (id: string) => (await play.cni.attachments(id)).corrupt.map(({ file }) => file)
      expect(await filesOf('x')).toEqual([])
      expect(await filesOf('c1')).toEqual(['net1-x-c1-eth0'])
    },
  )
})

describe('STATUS', () => {
  it.each(['0.4.0', '1.0.0'])('of %s succeeds without running', async (cniVersion) => {
    await play.cni.status(listOf(['one'], { cniVersion }))
    expect(await play.order()).toEqual([])
  })

  it('asks every plugin', async () => {
    await play.cni.status(listOf(['one', 'two'], { cniVersion: '1.1.0' }))
    const calls = await play.calls()
    expect(calls.map(({ plugin, command }) => `${plugin} ${command}`)).toEqual(['one STATUS', 'two STATUS'])
    expect(calls[0]!.env['CNI_CONTAINERID']).toBeUndefined()
    expect(calls[0]!.config).toEqual({ type: 'one', name: 'net1', cniVersion: '1.1.0' })
  })

  it.each([50, 51])('tells the code %s of the first that has one', async (code) => {
    await play.install('two', {
      STATUS: `echo '{"cniVersion":"1.1.0","code":${code},"msg":"not yet"}'; exit 1`,
    })
    const error = await failureOf(play.cni.status(listOf(['one', 'two', 'three'], { cniVersion: '1.1.0' })))
    expect(error).toMatchObject({ cniCode: code, details: { plugin: 'two', pluginMessage: 'not yet' } })
    expect(await play.order()).toEqual(['one STATUS', 'two STATUS'])
  })
})

describe('attachments', () => {
  it('are listed by container or all, sorted', async () => {
    const network = listOf(['one'])
    for (const [containerId, ifName] of [
      ['b', 'eth1'],
      ['b', 'eth0'],
      ['a', 'eth0'],
    ] as const)
      await play.cni.add(network, { containerId, ifName, netns: '/x' })
    const named = (list: readonly { containerId: string; ifName: string }[]) =>
      list.map(({ containerId, ifName }) => `${containerId} ${ifName}`)
    expect(named((await play.cni.attachments()).attachments)).toEqual(['a eth0', 'b eth0', 'b eth1'])
    expect(named((await play.cni.attachments('b')).attachments)).toEqual(['b eth0', 'b eth1'])
    expect(await play.cni.attachments('nobody')).toEqual({ attachments: [], corrupt: [] })
  })

  it('carry all that ADD was told', async () => {
    const told = { ...attachment, args: [['A', 'b']] as const, capabilityArgs: { x: [1] } }
    await play.cni.add(listOf(['one']), told)
    const { config, ...rest } = (await play.cni.cached('net1', told))!
    expect(rest).toEqual({
      ...told,
      network: 'net1',
      result: { cniVersion: '1.0.0', ips: [{ address: '10.9.0.2/24' }] },
    })
    expect(config).toEqual(listOf(['one']))
  })

  it('are none without a cache', async () => {
    expect(await play.cni.attachments()).toEqual({ attachments: [], corrupt: [] })
    expect(await play.cni.cached('net1', attachment)).toBeUndefined()
  })
})

describe('VERSION', () => {
  const cases: [string, script: string, supported: string[]][] = [
    [
      'what it prints',
      `echo '{"cniVersion":"1.0.0","supportedVersions":["0.4.0","1.0.0"]}'`,
      ['0.4.0', '1.0.0'],
    ],
    ['0.1.0 and 0.2.0 where it is of 0.2.0', `echo '{"cniVersion":"0.2.0"}'`, ['0.1.0', '0.2.0']],
    [
      '0.1.0 where it does not know the command',
      `echo '{"code":4,"msg":"unknown CNI_COMMAND: VERSION"}'; exit 1`,
      ['0.1.0'],
    ],
  ]
  it.each(cases)('%s', async (_, VERSION, supported) => {
    await play.install('one', { VERSION })
    expect((await play.cni.version('one')).supportedVersions).toEqual(supported)
    const [call] = await play.calls()
    expect(call!.config).toEqual({ cniVersion: '1.1.0' })
    expect(call!.env).toMatchObject({ CNI_NETNS: 'dummy', CNI_IFNAME: 'dummy', CNI_PATH: 'dummy' })
  })

  const bad: [string, script: string, message: string][] = [
    ['nothing', '', 'decoding version info'],
    ['no version', `echo '{"supportedVersions":["1.0.0"]}'`, 'missing field cniVersion'],
    ['no versions', `echo '{"cniVersion":"1.0.0"}'`, 'missing field supportedVersions'],
    [
      'versions that are not a list',
      `echo '{"cniVersion":"1.0.0","supportedVersions":"1.0.0"}'`,
      'not a list of strings',
    ],
    [
      'versions that are numbers',
      `echo '{"cniVersion":"1.0.0","supportedVersions":[1]}'`,
      'not a list of strings',
    ],
    ['another error', `echo '{"code":7,"msg":"no"}'; exit 1`, 'no (exit status 1'],
  ]
  it.each(bad)('rejects %s', async (_, VERSION, message) => {
    await play.install('one', { VERSION })
    expect((await failureOf(play.cni.version('one'))).message).toContain(message)
  })
})

describe('validation', () => {
  it('answers with the union of the declared capabilities', async () => {
    const plugins = [
      { type: 'one', capabilities: { portMappings: true, mac: false } },
      { type: 'two', capabilities: { bandwidth: true, portMappings: true } },
    ]
    expect(await play.cni.validate(listOf([], { plugins }))).toEqual(['bandwidth', 'portMappings'])
  })

  it('rejects a version that a plugin does not speak', async () => {
    const error = await failureOf(play.cni.validate(listOf(['one'], { cniVersion: '0.2.0' })))
    expect(error.message).toMatch(/^plugin one does not support config version "0.2.0"/)
  })

  it('collects everything that is wrong', async () => {
    const error = await failureOf(play.cni.validate(listOf(['gone', 'one', 'lost'], { cniVersion: '0.2.0' })))
    expect(error.details['errors']).toMatchObject([
      { code: 'ERR_CNI_PLUGIN_NOT_FOUND' },
      { code: 'ERR_CNI_VERSION_UNSUPPORTED' },
      { code: 'ERR_CNI_PLUGIN_NOT_FOUND' },
    ])
  })
})
