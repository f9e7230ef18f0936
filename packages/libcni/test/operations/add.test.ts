import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type Attachment,
  type JsonObject,
  type OperationOptions,
  parseNetworkConfig,
  parseNetworkConfigList,
} from '@podwire/libcni'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { attachment, failureOf, type Playground, playground } from '../support/playground.ts'

let play: Playground
beforeEach(async () => {
  play = await playground()
})
afterEach(() => play.remove())

const listOf = (plugins: JsonObject[], more: JsonObject = {}) =>
  parseNetworkConfigList(JSON.stringify({ name: 'net1', cniVersion: '1.0.0', plugins, ...more }))

describe('what a plugin reads on stdin', () => {
  const cases: [string, plugin: JsonObject, more: Partial<Attachment>, expected: JsonObject][] = [
    ['the name and version of the network', {}, {}, { name: 'net1', cniVersion: '1.0.0' }],
    [
      'unknown keys',
      { 'example.com/x': { y: [1, null] }, z: null },
      {},
      { 'example.com/x': { y: [1, null] }, z: null },
    ],
    ['a name of its own is replaced', { name: 'other' }, {}, { name: 'net1' }],
    ['a version of its own is replaced', { cniVersion: '0.2.0' }, {}, { cniVersion: '1.0.0' }],
    ['no capabilities', { capabilities: { a: true } }, {}, { capabilities: undefined }],
    ['no runtimeConfig without arguments', { capabilities: { a: true } }, {}, { runtimeConfig: undefined }],
    ['no runtimeConfig without capabilities', {}, { capabilityArgs: { a: 1 } }, { runtimeConfig: undefined }],
    [
      'what is declared and given',
      { capabilities: { a: true, b: true } },
      { capabilityArgs: { a: [1], c: 2 } },
      { runtimeConfig: { a: [1] } },
    ],
    [
      'nothing declared false',
      { capabilities: { a: false } },
      { capabilityArgs: { a: 1 } },
      { runtimeConfig: undefined },
    ],
    [
      'nothing that every object has',
      { capabilities: { constructor: true, toString: true } },
      { capabilityArgs: {} },
      { runtimeConfig: undefined },
    ],
    [
      'a given false is given',
      { capabilities: { a: true } },
      { capabilityArgs: { a: false } },
      { runtimeConfig: { a: false } },
    ],
    ['no prevResult for the first', {}, {}, { prevResult: undefined }],
  ]
  it.each(cases)('%s', async (_, plugin, more, expected) => {
    await play.install('one')
    await play.cni.add(listOf([{ type: 'one', ...plugin }]), { ...attachment, ...more })
    const [call] = await play.calls()
    for (const [key, value] of Object.entries(expected)) expect(call!.config[key]).toEqual(value)
  })

  it('keeps __proto__ a key like any other', async () => {
    await play.install('one')
    const text =
      '{"name":"net1","cniVersion":"1.0.0","plugins":[{"type":"one","__proto__":{"polluted":1},"capabilities":{"__proto__":true}}]}'
    const capabilityArgs = JSON.parse('{"__proto__":{"p":2}}')
    await play.cni.add(parseNetworkConfigList(text), { ...attachment, capabilityArgs })
    const [call] = await play.calls()
    expect(call!.stdin).toContain('"__proto__":{"polluted":1}')
    expect(call!.stdin).toContain('"runtimeConfig":{"__proto__":{"p":2}}')
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
  })

  it('hands each plugin the result of the one before it', async () => {
    await play.install('one')
    await play.install('two', { ADD: `echo '{"cniVersion":"1.0.0","ips":[{"address":"10.9.0.3/24"}]}'` })
    await play.install('three')
    const result = await play.cni.add(
      listOf([{ type: 'one' }, { type: 'two' }, { type: 'three' }]),
      attachment,
    )
    const calls = await play.calls()
    expect(calls.map(({ config }) => config['prevResult'])).toEqual([
      undefined,
      { cniVersion: '1.0.0', ips: [{ address: '10.9.0.2/24' }] },
      { cniVersion: '1.0.0', ips: [{ address: '10.9.0.3/24' }] },
    ])
    expect(result).toEqual({ cniVersion: '1.0.0', ips: [{ address: '10.9.0.2/24' }] })
  })
})

describe('the environment of a plugin', () => {
  const trace = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' }
  const cases: [string, Partial<Attachment>, OperationOptions, Record<string, string | undefined>][] = [
    [
      'the attachment',
      {},
      {},
      { CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'c1', CNI_IFNAME: 'eth0', CNI_NETNS: '/run/netns/c1' },
    ],
    ['no arguments', {}, {}, { CNI_ARGS: '' }],
    ['one argument', { args: [['A', 'b']] }, {}, { CNI_ARGS: 'A=b' }],
    [
      'arguments in their order',
      {
        args: [
          ['Z', '1'],
          ['A', ''],
          ['B', 'x y'],
        ],
      },
      {},
      { CNI_ARGS: 'Z=1;A=;B=x y' },
    ],
    ['the rest of the environment', {}, {}, { PODWIRE_LIBCNI_TEST: 'inherited' }],
    ['not the CNI variables of the process', {}, {}, { CNI_ARGS: '' }],
    ['a span', {}, { trace }, { TRACEPARENT: trace.traceparent, TRACESTATE: undefined, BAGGAGE: undefined }],
    [
      'a span with all',
      {},
      { trace: { ...trace, tracestate: 'a=1', baggage: 'k=v' } },
      { TRACESTATE: 'a=1', BAGGAGE: 'k=v' },
    ],
    [
      'no span that is all zeroes',
      {},
      { trace: { traceparent: `00-${'0'.repeat(32)}-b7ad6b7169203331-01`, baggage: 'k=v' } },
      { TRACEPARENT: undefined, BAGGAGE: undefined },
    ],
    [
      'no span without an id',
      {},
      { trace: { traceparent: `00-0af7651916cd43dd8448eb211c80319c-${'0'.repeat(16)}-01` } },
      { TRACEPARENT: undefined },
    ],
    [
      'no span of a forbidden version',
      {},
      { trace: { traceparent: trace.traceparent.replace('00-', 'ff-') } },
      { TRACEPARENT: undefined },
    ],
    ['no nonsense for a span', {}, { trace: { traceparent: 'hello' } }, { TRACEPARENT: undefined }],
  ]
  it.each(cases)('%s', async (_, more, options, expected) => {
    process.env.PODWIRE_LIBCNI_TEST = 'inherited'
    process.env.CNI_ARGS = 'LEAKED=1'
    try {
      await play.install('one')
      await play.cni.add(listOf([{ type: 'one' }]), { ...attachment, ...more }, options)
    } finally {
      delete process.env.PODWIRE_LIBCNI_TEST
      delete process.env.CNI_ARGS
    }
    const [call] = await play.calls()
    expect(call!.env['CNI_PATH']).toBe(play.plugins)
    for (const [name, value] of Object.entries(expected)) expect(call!.env[name], name).toBe(value)
  })
})

describe('what is refused before anything runs', () => {
  const cases: [string, Partial<Attachment>, cniCode: number, message: string][] = [
    ['no container ID', { containerId: '' }, 3, 'missing containerID'],
    ['a container ID with a slash', { containerId: 'a/b' }, 4, 'invalid characters in containerID'],
    ['a container ID with a dot first', { containerId: '../x' }, 4, 'invalid characters in containerID'],
    ['a container ID with a newline', { containerId: 'a\n' }, 4, 'invalid characters in containerID'],
    ['a container ID that is not ASCII', { containerId: 'ä' }, 4, 'invalid characters in containerID'],
    ['no interface', { ifName: '' }, 4, 'interface name is empty'],
    ['a long interface', { ifName: 'a234567890123456' }, 4, 'interface name is too long'],
    ['an interface long in bytes', { ifName: 'ääääääää' }, 4, 'interface name is too long'],
    ['interface .', { ifName: '.' }, 4, 'interface name is . or ..'],
    ['interface ..', { ifName: '..' }, 4, 'interface name is . or ..'],
    ['an interface with /', { ifName: 'a/b' }, 4, 'contains / or :'],
    ['an interface with :', { ifName: 'a:b' }, 4, 'contains / or :'],
    ['an interface with a space', { ifName: 'a b' }, 4, 'contains / or :'],
    ['an interface with a tab', { ifName: 'a\tb' }, 4, 'contains / or :'],
    ['an argument that would be two', { args: [['A', 'b;C=d']] }, 4, 'CNI_ARGS'],
    ['an argument without a key', { args: [['', 'b']] }, 4, 'CNI_ARGS'],
    ['an argument with = in its key', { args: [['A=b', 'c']] }, 4, 'CNI_ARGS'],
    ['a namespace with a NUL', { netns: '/run/\0' }, 4, 'network namespace'],
  ]
  it.each(cases)('%s', async (_, more, cniCode, message) => {
    await play.install('one')
    const error = await failureOf(play.cni.add(listOf([{ type: 'one' }]), { ...attachment, ...more }))
    expect(error).toMatchObject({ code: 'ERR_CNI_ARGUMENT', cniCode })
    expect(error.message).toContain(message)
    expect(await play.order()).toEqual([])
    expect(await play.cacheFiles()).toEqual([])
  })

  it('takes the longest name of an interface', async () => {
    await play.install('one')
    await play.cni.add(listOf([{ type: 'one' }]), { ...attachment, ifName: 'a23456789012345' })
    expect(await play.cacheFiles()).toEqual(['net1-c1-a23456789012345'])
  })
})

describe('the result of a plugin', () => {
  const ok: [string, printed: string, version: string, expected: object][] = [
    ['keeps its version', '{"cniVersion":"0.4.0","dns":{}}', '1.0.0', { cniVersion: '0.4.0', dns: {} }],
    ["without a version is of the configuration's", '{}', '0.4.0', { cniVersion: '0.4.0', dns: {} }],
    ['with an empty version too', '{"cniVersion":""}', '1.0.0', { cniVersion: '1.0.0' }],
    ['may be null', 'null', '1.0.0', { cniVersion: '1.0.0' }],
    ['null in the oldest version', 'null', '0.2.0', { cniVersion: '0.2.0', dns: {} }],
    [
      'loses unknown keys',
      '{"x":1,"ips":[{"address":"10.0.0.1/8","y":2}]}',
      '1.0.0',
      { cniVersion: '1.0.0', ips: [{ address: '10.0.0.1/8' }] },
    ],
    [
      'keeps interface index 0',
      '{"ips":[{"address":"10.0.0.1/8","interface":0}]}',
      '1.0.0',
      { cniVersion: '1.0.0', ips: [{ address: '10.0.0.1/8', interface: 0 }] },
    ],
    ['leaves an empty dns out from 1.0.0', '{"dns":{}}', '1.0.0', { cniVersion: '1.0.0' }],
    ['null stands for absent', '{"ips":null,"routes":null,"dns":null}', '1.1.0', { cniVersion: '1.1.0' }],
  ]
  it.each(ok)('%s', async (_, printed, cniVersion, expected) => {
    await play.install('one', { ADD: `echo '${printed}'` })
    expect(await play.cni.add(listOf([{ type: 'one' }], { cniVersion }), attachment)).toEqual(expected)
  })

  const bad: [string, printed: string, message: string][] = [
    ['of a version nobody knows', '{"cniVersion":"9.9.9"}', 'unsupported CNI result version "9.9.9"'],
    ['an array', '[]', 'a result is an object, not an array'],
    ['garbage', 'hello', 'not valid JSON'],
    ['nothing', '', 'expected JSON'],
    ['cut off', '{"ips":[', 'JSON'],
    ['an address without a prefix', '{"ips":[{"address":"10.0.0.1"}]}', 'address is "10.0.0.1"'],
    ['no address', '{"ips":[{}]}', 'address is missing'],
    ['a prefix too long', '{"ips":[{"address":"10.0.0.1/33"}]}', 'prefix length'],
    [
      'a gateway that is not an address',
      '{"ips":[{"address":"10.0.0.1/8","gateway":"x"}]}',
      'gateway is "x"',
    ],
    ['ips that are not a list', '{"ips":{}}', 'ips is an object'],
    [
      'an index that is not a number',
      '{"ips":[{"address":"10.0.0.1/8","interface":"0"}]}',
      'interface is "\\"0\\""'.replaceAll('\\"', '"').replace('""0""', '"0"'),
    ],
    ['dns that is a list', '{"dns":[]}', 'dns is an array'],
  ]
  it.each(bad)('%s is an error of the plugin, and undone', async (_, printed, message) => {
    await play.install('one', { ADD: `printf '%s' '${printed}'` })
    const error = await failureOf(play.cni.add(listOf([{ type: 'one' }]), attachment))
    expect(error).toMatchObject({ code: 'ERR_CNI_PLUGIN_OUTPUT', cniCode: 6 })
    expect(error.message).toContain(message)
    expect(error.message).toContain('plugin type="one" name="net1" failed (add)')
    expect(await play.order()).toEqual(['one ADD', 'one DEL'])
    expect(await play.cacheFiles()).toEqual([])
  })
})

describe('a failed ADD', () => {
  const fails = `echo '{"code":11,"msg":"busy","details":"come back"}'; exit 1`

  it('stops at the first error and names everything', async () => {
    await play.install('one')
    await play.install('two', { ADD: `echo some words >&2; ${fails}` })
    await play.install('three')
    const error = await failureOf(
      play.cni.add(listOf([{ type: 'one' }, { type: 'two' }, { type: 'three' }]), attachment),
    )
    expect(error.message).toMatch(
      /^plugin type="two" name="net1" failed \(add\): busy; come back \(exit status 1 after \d+ ms; stderr: "some words"\)$/,
    )
    expect(error).toMatchObject({ code: 'ERR_CNI_PLUGIN_FAILED', cniCode: 11 })
    expect(error.details).toMatchObject({
      network: 'net1',
      plugin: 'two',
      command: 'ADD',
      exitCode: 1,
      stderr: 'some words',
      pluginMessage: 'busy',
      pluginDetails: 'come back',
    })
  })

  it('is undone in reverse, with what is known of the result', async () => {
    await play.install('one')
    await play.install('two', { ADD: fails })
    await play.install('three')
    await failureOf(play.cni.add(listOf([{ type: 'one' }, { type: 'two' }, { type: 'three' }]), attachment))
    expect(await play.order()).toEqual(['one ADD', 'two ADD', 'two DEL', 'one DEL'])
    const calls = await play.calls()
    expect(calls[2]!.config['prevResult']).toEqual({ cniVersion: '1.0.0', ips: [{ address: '10.9.0.2/24' }] })
    expect(await play.cacheFiles()).toEqual([])
  })

  it('is undone past errors, which are told and remembered', async () => {
    await play.install('one')
    await play.install('two', { ADD: fails, DEL: `echo '{"code":5,"msg":"stuck"}'; exit 1` })
    const network = listOf([{ type: 'one' }, { type: 'two' }])
    const error = await failureOf(play.cni.add(network, attachment))
    expect(await play.order()).toEqual(['one ADD', 'two ADD', 'two DEL', 'one DEL'])
    expect(error.cniCode).toBe(11)
    expect(error.message).toContain('undoing it failed too, run DEL again')
    expect(error.details['rollbackErrors']).toMatchObject([{ cniCode: 5 }])
    expect(await play.cni.attachments()).toMatchObject({
      attachments: [{ containerId: 'c1', network: 'net1' }],
    })
  })

  it('is undone although the caller has aborted', async () => {
    await play.install('one')
    await play.install('two', { ADD: 'sleep 300' })
    const abort = new AbortController()
    const failure = failureOf(
      play.cni.add(listOf([{ type: 'one' }, { type: 'two' }]), attachment, { signal: abort.signal }),
    )
    await vi.waitFor(async () => expect(await play.order()).toContain('two ADD'), 10_000)
    abort.abort(new Error('no longer wanted'))
    const error = await failure
    expect(error.code).toBe('ERR_CNI_ABORTED')
    expect((error.cause as Error).message).toBe('no longer wanted')
    expect(await play.order()).toEqual(['one ADD', 'two ADD', 'two DEL', 'one DEL'])
  })

  it('has a deadline of its own for undoing', async () => {
    const impatient = await playground({ rollbackDeadlineMs: 200 })
    await impatient.install('one', { ADD: fails, DEL: 'sleep 30' })
    const error = await failureOf(impatient.cni.add(listOf([{ type: 'one' }]), attachment))
    expect(error.details['rollbackErrors']).toMatchObject([{ code: 'ERR_CNI_DEADLINE' }])
    await impatient.remove()
  })

  it('leaves an attachment alone that stood before', async () => {
    await play.install('one')
    const network = listOf([{ type: 'one' }])
    await play.cni.add(network, attachment)
    await play.install('one', { ADD: fails })
    await failureOf(play.cni.add(network, attachment))
    expect(await play.order()).toEqual(['one ADD', 'one ADD'])
    expect((await play.cni.cached('net1', attachment))?.result).toBeDefined()
  })

  it('runs nothing when a plugin is missing, but undoes what ran before it', async () => {
    await play.install('one')
    const error = await failureOf(play.cni.add(listOf([{ type: 'one' }, { type: 'gone' }]), attachment))
    expect(error.message).toBe(`failed to find plugin "gone" in path [${play.plugins}]`)
    expect(await play.order()).toEqual(['one ADD', 'one DEL'])
  })
})

describe('the cache', () => {
  it('knows of the attachment before the first plugin runs, and of the result after the last', async () => {
    const file = join(play.cache, 'results', 'net1-c1-eth0')
    await play.install('one', { ADD: `cat '${file}' > '${play.directory}/intent'; echo null` })
    await play.cni.add(listOf([{ type: 'one' }]), {
      ...attachment,
      args: [['A', 'b']],
      capabilityArgs: { x: 1 },
    })
    const intent = JSON.parse(await readFile(join(play.directory, 'intent'), 'utf8'))
    const entry = JSON.parse(await readFile(file, 'utf8'))
    const known = {
      kind: 'cniCacheV1',
      wholeConfig: true,
      containerId: 'c1',
      ifName: 'eth0',
      networkName: 'net1',
      netns: '/run/netns/c1',
      cniArgs: [['A', 'b']],
      capabilityArgs: { x: 1 },
    }
    expect(intent).toEqual({ ...known, config: expect.any(String) })
    expect(entry).toEqual({ ...intent, result: { cniVersion: '1.0.0' } })
    expect(JSON.parse(Buffer.from(entry.config, 'base64').toString())).toMatchObject({
      name: 'net1',
      plugins: [{ type: 'one' }],
    })
  })

  it('is for its owner alone', async () => {
    await play.install('one')
    await play.cni.add(listOf([{ type: 'one' }]), attachment)
    const modes = await Promise.all(
      ['results', 'results/net1-c1-eth0'].map((name) => stat(join(play.cache, name))),
    )
    expect(modes.map(({ mode }) => mode & 0o777)).toEqual([0o700, 0o600])
  })

  it('keeps the configuration of a single network as it came', async () => {
    await play.install('one')
    const network = parseNetworkConfig('{"name":"solo","type":"one","cniVersion":"1.0.0"}')
    await play.cni.add(network, attachment)
    const entry = JSON.parse(await readFile(join(play.cache, 'results', 'solo-c1-eth0'), 'utf8'))
    expect(JSON.parse(Buffer.from(entry.config, 'base64').toString())).toEqual(network.raw)
    await play.cni.del('solo', attachment)
    expect(await play.order()).toEqual(['one ADD', 'one DEL'])
  })

  it('that can not be written stops ADD before it starts', async () => {
    await writeFile(play.cache, 'a file')
    await play.install('one')
    const error = await failureOf(play.cni.add(listOf([{ type: 'one' }]), attachment))
    expect(error.code).toBe('ERR_CNI_CACHE')
    expect(await play.order()).toEqual([])
  })
})

/** Makes the plugin's ADD wait until it is let go on. */
async function holdAdd(): Promise<() => Promise<void>> {
  const gate = join(play.directory, 'gate')
  await play.install('one', { ADD: `while [ ! -e '${gate}' ]; do sleep 0.02; done; echo null` })
  return () => writeFile(gate, '')
}

it('waits for another ADD of the same attachment, and for no other', async () => {
  const goOn = await holdAdd()
  const network = listOf([{ type: 'one' }])
  const adds = [attachment, attachment, { ...attachment, containerId: 'c2' }].map((which) =>
    play.cni.add(network, which),
  )
  await vi.waitFor(async () => expect(await play.order()).toEqual(['one ADD', 'one ADD']), 10_000)
  expect((await play.calls()).map(({ env }) => env['CNI_CONTAINERID']).sort()).toEqual(['c1', 'c2'])
  await goOn()
  await Promise.all(adds)
  expect(await play.order()).toHaveLength(3)
  expect(await play.cacheFiles()).toEqual(['net1-c1-eth0', 'net1-c2-eth0'])
})

it('waits no longer than its deadline, and lets nobody past', async () => {
  const goOn = await holdAdd()
  const network = listOf([{ type: 'one' }])
  const first = play.cni.add(network, attachment)
  const impatient = failureOf(play.cni.add(network, attachment, { deadlineMs: 50 }))
  const aborted = failureOf(play.cni.add(network, attachment, { signal: AbortSignal.timeout(50) }))
  const late = failureOf(play.cni.add(network, attachment, { signal: AbortSignal.abort() }))
  const last = play.cni.del(network, attachment)
  expect(await late).toMatchObject({ code: 'ERR_CNI_ABORTED' })
  expect(await impatient).toMatchObject({
    code: 'ERR_CNI_DEADLINE',
    message: expect.stringMatching(
      /^another operation on .*net1-c1-eth0 took the whole deadline of 50 ms\. Try again/,
    ),
  })
  expect((await aborted).code).toBe('ERR_CNI_ABORTED')
  expect(await play.order()).not.toContain('one DEL')
  await goOn()
  await Promise.all([first, last])
  expect(await play.order()).toEqual(['one ADD', 'one DEL'])
})
