import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { namesIn } from '@podwire/api/files'
import { isIsolated, recordingLogger } from '@podwire/testing'
import { describe, expect, test } from 'vitest'
import { startDaemon } from '../../src/index.ts'
import { startTestDaemon, until } from '../daemon.ts'
import { bodyOf, callDoor } from './call-door.ts'

const all = (1 << 8) - 1
const able = `capabilities: () => ${all},`
/** A plugin that tells of what it was asked, and says what it made. */
const telling = `
  ${able}
  setUpPod: async (pod) => {
    globalThis.podwireTestPods ??= []
    globalThis.podwireTestPods.push(pod)
    return { ip: '192.0.2.9', interfaces: [{
      name: pod.ifName ?? 'eth0', ips: ['192.0.2.9'], mac: '0a:58:c0:00:02:09', mtu: 1400,
      addresses: [{ address: '192.0.2.9/24', gateway: '192.0.2.1' }],
      routes: [{ destination: '0.0.0.0/0', gateway: '192.0.2.1' }],
      host: { name: 'pw1', mac: '0a:58:00:00:00:01' },
    }] }
  },`

let count = 0

/** A network namespace of its own, and a runtime that attaches it. */
function container(
  socket: string,
  more: { ifName?: string; args?: string; netns?: string; id?: string } = {},
) {
  const name = more.id ?? `c${++count}`
  const netns = more.netns ?? `/run/netns/${name}`
  if (!more.netns) execFileSync('ip', ['netns', 'add', name])
  const call = (command: string, config: object = {}, options: { signal?: AbortSignal } = {}) =>
    callDoor(
      socket,
      bodyOf({
        env: {
          CNI_COMMAND: command,
          CNI_CONTAINERID: name,
          CNI_NETNS: netns,
          CNI_IFNAME: more.ifName ?? 'eth0',
          CNI_PATH: '/nowhere',
          ...(more.args === undefined ? {} : { CNI_ARGS: more.args }),
        },
        stdin: JSON.stringify({ cniVersion: '1.1.0', name: 'net1', type: 'podwire', ...config }),
      }),
      options,
    )
  return { name, netns, call }
}

const recordsIn = (stateDir: string) =>
  namesIn(join(stateDir, 'sandboxes')).filter((name) => !name.startsWith('.'))

describe.skipIf(!isIsolated())('the door of container runtimes', () => {
  test('attaches a container, says what it got, checks it and detaches it', async () => {
    const { daemon, ask, stateDir } = await startTestDaemon(telling)
    const { call, netns, name } = container(daemon.socket, {
      args: 'K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web;K8S_POD_UID=u-1',
    })
    const added = await call('ADD', {
      runtimeConfig: {
        portMappings: [{ HostPort: 8080, ContainerPort: 80, Protocol: 'tcp', HostIP: '' }],
        Bandwidth: { IngressRate: 1_000_000, IngressBurst: 2_147_483_647 },
      },
      dns: { nameservers: ['192.0.2.53'] },
    })
    const result = {
      cniVersion: '1.1.0',
      interfaces: [
        { name: 'pw1', mac: '0a:58:00:00:00:01' },
        { name: 'eth0', mac: '0a:58:c0:00:02:09', mtu: 1400, sandbox: netns },
      ],
      ips: [{ address: '192.0.2.9/24', gateway: '192.0.2.1', interface: 1 }],
      routes: [{ dst: '0.0.0.0/0', gw: '192.0.2.1' }],
      dns: { nameservers: ['192.0.2.53'] },
    }
    expect(added).toMatchObject({ status: 200, printed: result })
    expect((await ask('GET', '/v1/pods/shop/web')).body).toMatchObject({
      ownsNetns: false,
      attachment: { network: 'net1', containerId: name, ifName: 'eth0', podUid: 'u-1' },
      pod: {
        netns,
        portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }],
        bandwidth: { ingress: 1_000_000 },
      },
    })
    expect(await call('CHECK', { prevResult: added.printed })).toMatchObject({ status: 200, text: '' })
    expect(await call('DEL', { prevResult: added.printed })).toMatchObject({ status: 200, text: '' })
    expect(await call('DEL')).toMatchObject({ status: 200, text: '' })
    expect(recordsIn(stateDir)).toEqual([])
    expect(existsSync(netns)).toBe(true)
  })

  test.each([
    ['0.1.0', { ip4: { ip: '192.0.2.9/24' } }],
    ['0.2.0', { ip4: { ip: '192.0.2.9/24' } }],
    ['0.3.1', { ips: [{ version: '4', address: '192.0.2.9/24' }] }],
    ['0.4.0', { ips: [{ version: '4', address: '192.0.2.9/24' }] }],
    ['1.0.0', { ips: [{ address: '192.0.2.9/24' }] }],
  ])('answers in version %s', async (cniVersion, expected) => {
    const { daemon } = await startTestDaemon(telling)
    const { call } = container(daemon.socket)
    expect(await call('ADD', { cniVersion })).toMatchObject({
      status: 200,
      printed: { cniVersion, ...expected },
    })
    expect(await call('DEL', { cniVersion })).toMatchObject({ status: 200 })
  })

  test('says which versions it speaks, without a word of what is asked besides', async () => {
    const { daemon } = await startTestDaemon()
    const env = { CNI_COMMAND: 'VERSION' }
    const answer = await callDoor(daemon.socket, bodyOf({ env, stdin: '{"cniVersion":"1.0.0"}' }))
    expect(answer.printed).toMatchObject({
      cniVersion: '1.0.0',
      supportedVersions: expect.arrayContaining(['0.3.1', '1.1.0']),
    })
  })

  test('knows several interfaces of one container apart', async () => {
    const { daemon, ask } = await startTestDaemon(telling)
    const first = container(daemon.socket, { args: 'K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web' })
    const second = container(daemon.socket, {
      id: first.name,
      netns: first.netns,
      ifName: 'net1',
      args: 'K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web',
    })
    expect((await first.call('ADD')).status).toBe(200)
    const { printed } = await second.call('ADD')
    expect(printed.interfaces[1]).toMatchObject({ name: 'net1' })
    expect((await ask('GET', '/v1/pods/shop/web')).body.attachment.ifName).toBe('eth0')
    expect((await ask('GET', '/v1/pods')).body.pods).toHaveLength(2)
    expect((await second.call('DEL')).status).toBe(200)
    expect((await ask('GET', '/v1/pods/shop/web')).body.attachment.ifName).toBe('eth0')
    expect((await first.call('DEL')).status).toBe(200)
    expect((await ask('GET', '/v1/pods')).body.pods).toEqual([])
  })

  test('refuses a second ADD, one beside the first too, and leaves the first as it was', async () => {
    const slow = `${able} setUpPod: async (pod) => { await new Promise((r) => setTimeout(r, 300)); return { ip: '192.0.2.9' } },`
    const { daemon, ask } = await startTestDaemon(slow)
    const { call } = container(daemon.socket)
    const [one, other] = await Promise.all([call('ADD'), call('ADD')])
    expect([one.status, other.status].sort()).toEqual([200, 422])
    const refused = one.status === 422 ? one : other
    expect(refused.printed).toMatchObject({ code: 11, msg: expect.stringContaining('another call') })
    expect((await call('ADD')).printed).toMatchObject({ code: 4, details: 'POD_EXISTS' })
    expect((await ask('GET', '/v1/pods')).body.pods).toMatchObject([{ phase: 'ready' }])
  })

  test('finishes an ADD before the DEL that came meanwhile', async () => {
    const slow = `${able} setUpPod: async (pod) => { await new Promise((r) => setTimeout(r, 300)); return { ip: '192.0.2.9' } },`
    const { daemon, stateDir } = await startTestDaemon(slow)
    const { call } = container(daemon.socket)
    const adding = call('ADD')
    await until(() => recordsIn(stateDir).length === 1)
    expect((await call('DEL')).status).toBe(200)
    expect((await adding).status).toBe(200)
    expect(recordsIn(stateDir)).toEqual([])
  })

  test('undoes an ADD that nobody waits for any more, at whatever moment it ends', async () => {
    const slow = `${able} setUpPod: async (pod) => { await new Promise((r) => setTimeout(r, 30)); return { ip: '192.0.2.9' } },`
    const { daemon, stateDir, log } = await startTestDaemon(slow)
    for (let after = 0; after < 60; after += 4) {
      const { call } = container(daemon.socket)
      const gone = new AbortController()
      const adding = call('ADD', {}, { signal: gone.signal }).then(
        ({ status }) => status,
        () => 'gone',
      )
      setTimeout(() => gone.abort(), after)
      // Where the answer was there before, it is attached.
      if ((await adding) === 200) await call('DEL')
      await until(() => recordsIn(stateDir).length === 0)
    }
    await daemon.stop()
    expect(recordsIn(stateDir)).toEqual([])
    expect(log.entries.filter(({ level }) => level === 'error')).toEqual([])
  })

  test('undoes ADDs that waited in a row on a connection that closed', async () => {
    const slow = `${able} setUpPod: async () => { await new Promise((done) => setTimeout(done, 200)); return { ip: '192.0.2.9' } },`
    const { daemon, stateDir, ask } = await startTestDaemon(slow)
    execFileSync('ip', ['netns', 'add', 'row'])
    const client = connect(daemon.socket)
    for (const id of ['row1', 'row2', 'row3']) {
      const env = { CNI_COMMAND: 'ADD', CNI_CONTAINERID: id, CNI_NETNS: '/run/netns/row', CNI_IFNAME: 'eth0' }
      const body = bodyOf({
        env: { ...env, CNI_PATH: '/x' },
        stdin: '{"cniVersion":"1.1.0","name":"net1","type":"podwire"}',
      })
      client.write(
        `POST /v1/cni HTTP/1.1\r\nhost: x\r\ncontent-type: application/vnd.podwire.cni\r\ncontent-length: ${body.length}\r\n\r\n`,
      )
      client.write(body)
    }
    const told = async () => (await ask('GET', '/v1/events?from=start&until=now')).text
    await until(async () => (await told()).match(/^event: pod:setup:start$/gm)?.length === 3)
    client.destroy()
    await until(async () => {
      const ends = (await told()).match(/^event: pod:(setup:failed|teardown:done)$/gm)
      return (ends?.length ?? 0) >= 3 && recordsIn(stateDir).length === 0
    })
  })

  test('detaches to the end though nobody waits for that', async () => {
    const slow = `${able} tearDownPod: async (pod, signal) => { await new Promise((r) => setTimeout(r, 200)); signal.throwIfAborted() },`
    const { daemon, stateDir, log } = await startTestDaemon(slow)
    const { call } = container(daemon.socket)
    expect((await call('ADD')).status).toBe(200)
    const gone = new AbortController()
    const deleting = call('DEL', {}, { signal: gone.signal })
    await until(() => recordsIn(stateDir).some((name) => name.endsWith('.leaving')))
    gone.abort()
    await expect(deleting).rejects.toThrow()
    await until(() => recordsIn(stateDir).length === 0)
    expect(log.entries.filter(({ message }) => message.includes('teardown:failed'))).toEqual([])
  })

  test('is told by DEL of no pod but its own', async () => {
    const { daemon, ask } = await startTestDaemon(able)
    const { call, name } = container(daemon.socket)
    const { sandboxIdOf } = await import('../../src/cni/attachment.ts')
    const sandboxId = sandboxIdOf({ containerId: name, ifName: 'eth0' })
    expect((await ask('PUT', '/v1/pods/default/mine', { sandboxId })).status).toBe(200)
    expect((await call('DEL')).status).toBe(200)
    expect((await call('CHECK', { prevResult: { cniVersion: '1.1.0' } })).printed).toMatchObject({ code: 3 })
    expect((await ask('GET', '/v1/pods/default/mine')).status).toBe(200)
  })

  test('collects what came for a network and is not valid any more, and nothing else', async () => {
    const { daemon, ask } = await startTestDaemon(able)
    const made = [0, 1, 2].map(() => container(daemon.socket))
    const [stays, goes, other] = made
    if (!stays || !goes || !other) throw new Error('there are three')
    await ask('PUT', '/v1/pods/default/mine', {})
    await stays.call('ADD')
    await goes.call('ADD')
    await other.call('ADD', { name: 'net2' })
    const answer = await stays.call('GC', {
      'cni.dev/valid-attachments': [{ containerID: stays.name, ifname: 'eth0' }],
    })
    expect(answer).toMatchObject({ status: 200, text: '' })
    const { pods } = (await ask('GET', '/v1/pods')).body
    expect(pods.map((one: { pod: { name: string } }) => one.pod.name).sort()).toEqual(
      ['mine', stays.name, other.name].sort(),
    )
  })

  test('answers STATUS: ready, not ready with why, and not within its time', async () => {
    const ready = await startTestDaemon(able)
    expect(await container(ready.daemon.socket).call('STATUS')).toMatchObject({ status: 200, text: '' })
    const broken = await startTestDaemon(`status: async () => { throw new Error('no bridge') },`)
    expect((await container(broken.daemon.socket).call('STATUS')).printed).toMatchObject({
      code: 50,
      msg: expect.stringContaining('no bridge'),
    })
    const hanging = await startTestDaemon('status: () => new Promise(() => {}),')
    const { call } = container(hanging.daemon.socket)
    const began = performance.now()
    expect((await call('STATUS')).printed).toMatchObject({ code: 50, msg: expect.stringContaining('80 ms') })
    expect(performance.now() - began).toBeLessThan(1_000)
  })

  test('says at STATUS that pods lack something where the process of the plugin is down', async () => {
    const mortal = `${able} event: (name) => { if (name === 'die') process.kill(process.pid, 'SIGKILL') },`
    const { daemon, ask } = await startTestDaemon(mortal, { isolation: 'process' })
    const { call } = container(daemon.socket)
    expect((await call('STATUS')).status).toBe(200)
    await until(async () => {
      await ask('POST', '/v1/event', { name: 'die' })
      const { status, printed } = await call('STATUS')
      return status === 422 && printed.code === 51
    })
    await ask('POST', '/v1/plugins/reset', { name: 'odd' })
    await until(async () => (await call('STATUS')).status === 200)
  })

  test('says at STATUS that addresses are exhausted, until one is free', async () => {
    const full = `${able} setUpPod: async (pod) => {
      globalThis.podwireTestFull ??= 0
      if (pod.name === 'full') throw Object.assign(new Error('no address left'), { code: 'ADDRESSES_EXHAUSTED', details: {}, exitCode: 1 })
      return { ip: '192.0.2.9' }
    },`
    const { daemon } = await startTestDaemon(full)
    const up = container(daemon.socket)
    await up.call('ADD')
    const refused = container(daemon.socket, { args: 'K8S_POD_NAME=full' })
    expect((await refused.call('ADD')).printed).toMatchObject({ code: 11, details: 'ADDRESSES_EXHAUSTED' })
    expect((await up.call('STATUS')).printed).toMatchObject({
      code: 50,
      msg: expect.stringContaining('addresses'),
    })
    await up.call('DEL')
    expect((await up.call('STATUS')).status).toBe(200)
  })

  test.each<[string, string, object, object, number, string]>([
    ['a network namespace that is gone', 'ADD', {}, { netns: '/run/netns/none' }, 8, 'none'],
    ['what is no network namespace', 'ADD', {}, { netns: '/etc/passwd' }, 8, '/etc/passwd'],
    ['the host’s network namespace', 'ADD', {}, { netns: '/proc/self/ns/net' }, 8, 'netns'],
    ['a container with a slash', 'ADD', {}, { id: '../x', netns: '/run/netns/x' }, 4, 'containerID'],
    ['an interface with a slash', 'ADD', {}, { ifName: 'a/b' }, 4, 'interface'],
    ['somebody before it', 'ADD', { prevResult: { cniVersion: '1.1.0', ips: [] } }, {}, 2, 'prevResult'],
    ['an unknown version', 'ADD', { cniVersion: '7.0.0' }, {}, 1, 'incompatible'],
    ['an unknown argument', 'ADD', {}, { args: 'A=B' }, 4, 'A=B'],
    ['an address that it does not get', 'ADD', { runtimeConfig: { ips: ['192.0.2.7'] } }, {}, 2, '192.0.2.7'],
    [
      'a MAC address that it does not get',
      'ADD',
      { runtimeConfig: { mac: '02:00:00:00:00:01' } },
      {},
      2,
      '02:00',
    ],
    [
      'an address out of its range',
      'ADD',
      { runtimeConfig: { ipRanges: [[{ subnet: '10.0.0.0/8' }]] } },
      {},
      2,
      'ipRanges',
    ],
    [
      'CHECK of what was never attached',
      'CHECK',
      { prevResult: { cniVersion: '1.1.0' } },
      {},
      3,
      'never attached',
    ],
    ['GC with an odd list', 'GC', { 'cni.dev/valid-attachments': [{ id: 1 }] }, {}, 7, 'valid-attachments'],
    ['STATUS before there was one', 'STATUS', { cniVersion: '1.0.0' }, {}, 1, 'STATUS'],
  ])('refuses %s, and leaves nothing', async (_, command, config, more, code, text) => {
    const { daemon, ask } = await startTestDaemon(able)
    const { status, printed } = await container(daemon.socket, more).call(command, config)
    expect(`${printed.msg} ${printed.details}`).toContain(text)
    expect([status, printed.code]).toEqual([422, code])
    expect((await ask('GET', '/v1/pods')).body.pods).toEqual([])
  })

  test('refuses an interface by another name where the plugin can only make one', async () => {
    const { daemon } = await startTestDaemon()
    const { printed } = await container(daemon.socket, { ifName: 'net1' }).call('ADD')
    expect(printed).toMatchObject({ code: 2, msg: expect.stringContaining('interfaceNames') })
  })

  test('refuses what is no call', async () => {
    const { daemon } = await startTestDaemon()
    const send = (body: Buffer, type?: string) =>
      callDoor(daemon.socket, body, type === undefined ? {} : { type })
    expect((await send(Buffer.from('x'))).printed).toMatchObject({
      code: 4,
      msg: expect.stringContaining('cut short'),
    })
    const add = {
      CNI_COMMAND: 'ADD',
      CNI_CONTAINERID: 'a',
      CNI_NETNS: '/x',
      CNI_IFNAME: 'eth0',
      CNI_PATH: '/x',
    }
    const large = await send(bodyOf({ env: add, stdin: 'x'.repeat(2 ** 20 + 1) }))
    expect([large.status, large.printed.code]).toEqual([422, 6])
    for (const stdin of ['', 'x', '[]', '{"name"'])
      expect((await send(bodyOf({ env: add, stdin }))).printed).toMatchObject({ code: 6 })
    expect((await send(Buffer.from('{}'), 'application/json')).status).toBe(400)
    expect((await send(Buffer.from('x'), 'text/html')).status).toBe(400)
    expect((await send(Buffer.alloc(5 * 2 ** 20))).status).toBe(400)
  })
})

describe.skipIf(!isIsolated())('what was detached while no daemon ran', () => {
  const del = (id: string) =>
    bodyOf({
      env: { CNI_COMMAND: 'DEL', CNI_CONTAINERID: id, CNI_IFNAME: 'eth0', CNI_PATH: '/nowhere' },
      stdin: JSON.stringify({ cniVersion: '1.0.0', name: 'net1' }),
    })

  test('is carried out at the start, and again before the next call that needs it', async () => {
    const { daemon, ask, stateDir, load } = await startTestDaemon(able)
    const first = container(daemon.socket)
    const second = container(daemon.socket)
    await first.call('ADD')
    await second.call('ADD')
    await daemon.stop()
    const journal = join(stateDir, 'cni-journal')
    mkdirSync(journal, { mode: 0o700 })
    writeFileSync(join(journal, 'a'.repeat(32)), del(first.name))
    const next = await startDaemon({ load, log: recordingLogger(), version: '', env: {} })
    try {
      await until(() => readdirSync(journal).length === 0)
      expect((await ask('GET', '/v1/pods')).body.pods).toHaveLength(1)
      writeFileSync(join(journal, 'b'.repeat(32)), del(second.name))
      const third = container(next.socket)
      expect((await third.call('ADD')).status).toBe(200)
      expect(readdirSync(journal)).toEqual([])
      expect(
        (await ask('GET', '/v1/pods')).body.pods.map((one: { pod: { name: string } }) => one.pod.name),
      ).toEqual([third.name])
    } finally {
      await next.stop()
    }
  })

  test('is set aside where it can never be carried out, told of, and in nobody’s way', async () => {
    const { daemon, stateDir, log, ask } = await startTestDaemon(able)
    const journal = join(stateDir, 'cni-journal')
    mkdirSync(journal, { mode: 0o700 })
    const broken = {
      '1': Buffer.from('x'),
      '2': bodyOf({ env: { CNI_COMMAND: 'ADD' }, stdin: '' }),
      '3': bodyOf({
        env: { CNI_COMMAND: 'DEL', CNI_CONTAINERID: '../x', CNI_IFNAME: 'eth0', CNI_PATH: '/x' },
        stdin: '{}',
      }),
      '4': Buffer.alloc(2 * 2 ** 20),
    }
    for (const [digit, body] of Object.entries(broken)) writeFileSync(join(journal, digit.repeat(32)), body)
    symlinkSync('/etc/passwd', join(journal, '5'.repeat(32)))
    writeFileSync(join(journal, '.half-written'), '')
    writeFileSync(join(journal, '.abandoned'), '')
    utimesSync(join(journal, '.abandoned'), 0, 0)
    const good = container(daemon.socket)
    expect((await good.call('ADD')).status).toBe(200)
    expect(readdirSync(journal).sort()).toEqual([
      '.half-written',
      ...['1', '2', '3', '4', '5'].map((digit) => `${digit.repeat(32)}.unreadable`),
    ])
    expect(log.entries.filter(({ message }) => message.startsWith('state:set-aside'))).toHaveLength(5)
    const { text } = await ask('GET', '/v1/events?from=start&until=now')
    expect(text.match(/event: state:set-aside/g)).toHaveLength(5)
    await good.call('ADD')
    expect(log.entries.filter(({ message }) => message.startsWith('state:set-aside'))).toHaveLength(5)
  })

  test('is tried again where it failed, without holding the next call up', async () => {
    const stubborn = `${able} tearDownPod: async () => { const { existsSync } = await import('node:fs'); if (!existsSync('/run/go-on')) throw new Error('stuck') },`
    const { daemon, stateDir } = await startTestDaemon(stubborn)
    const one = container(daemon.socket)
    await one.call('ADD')
    const journal = join(stateDir, 'cni-journal')
    mkdirSync(journal, { mode: 0o700 })
    const entry = join(journal, 'a'.repeat(32))
    writeFileSync(entry, del(one.name))
    expect((await container(daemon.socket).call('ADD')).status).toBe(200)
    expect(existsSync(entry)).toBe(true)
    writeFileSync('/run/go-on', '')
    await until(async () => {
      await container(daemon.socket).call('STATUS')
      return !existsSync(entry)
    })
  })

  test('is carried out before its container is attached anew, though it failed a moment ago, and never after', async () => {
    const stubborn = `${able} tearDownPod: async () => { const { existsSync } = await import('node:fs'); if (existsSync('/run/stuck')) throw new Error('stuck') },`
    const { daemon, stateDir } = await startTestDaemon(stubborn)
    const one = container(daemon.socket)
    await one.call('ADD')
    const journal = join(stateDir, 'cni-journal')
    mkdirSync(journal, { mode: 0o700 })
    const entry = join(journal, 'a'.repeat(32))
    writeFileSync(entry, del(one.name))
    writeFileSync('/run/stuck', '')
    expect((await container(daemon.socket).call('ADD')).status).toBe(200)
    expect(existsSync(entry)).toBe(true)
    expect((await one.call('ADD')).printed).toMatchObject({
      code: 11,
      msg: expect.stringContaining('detaches'),
    })
    rmSync('/run/stuck')
    expect((await one.call('DEL')).status).toBe(200)
    expect((await one.call('ADD')).status).toBe(200)
    expect(existsSync(entry)).toBe(false)
  })

  test('is not read from a directory that others may write to', async () => {
    const { daemon, stateDir, log } = await startTestDaemon(able)
    const one = container(daemon.socket)
    await one.call('ADD')
    const journal = join(stateDir, 'cni-journal')
    mkdirSync(journal)
    chmodSync(journal, 0o777)
    writeFileSync(join(journal, 'a'.repeat(32)), del(one.name))
    expect((await container(daemon.socket).call('ADD')).status).toBe(200)
    expect(readdirSync(journal)).toHaveLength(1)
    expect(log.entries.filter(({ message }) => message.includes('others may write'))).toHaveLength(1)
  })
})
