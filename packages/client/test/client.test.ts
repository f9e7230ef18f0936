import { chmodSync, chownSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { isPodwireError, type Logger } from '@podwire/api'
import { hasMachineUsers } from '@podwire/api/files'
import { createNetworkHost, type NetworkHost } from '@podwire/core'
import { startDaemon } from '@podwire/daemon'
import { isIsolated, recordingLogger } from '@podwire/testing'
import { describe, expect, test } from 'vitest'
import { connectNetworkHost, streamEvents } from '../src/index.ts'
import { afterThis, configured, startTestDaemon, until } from './daemon.ts'

const isUserNamespace = !hasMachineUsers()

const web = { namespace: 'default', name: 'web' }

const slow = `setUpPod: (pod, signal) => new Promise((resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),`

/** The same steps with a host in this process and with a daemon's. */
async function bothHosts(methods = ''): Promise<[NetworkHost, NetworkHost]> {
  const { load } = configured(methods)
  const local = await createNetworkHost({ config: await load() })
  const { host } = await startTestDaemon(methods)
  return [local, host]
}

/** What programs can tell of an error. */
function told(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const { name, message, cause } = error
  const own = isPodwireError(error)
    ? { code: error.code, details: error.details, exitCode: error.exitCode }
    : {}
  return { name, message: message.replace(/after [\d.]+ ms/, ''), ...own, cause: told(cause) }
}

const failure = (promise: Promise<unknown>) => promise.then(() => 'did not fail', told)

/** What differs from one host to the next. */
const steady = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (key, one) =>
      ['createdAt', 'setUpMs', 'ino', 'durationMs', 'packageDir', 'configDir', 'dir'].includes(key)
        ? key
        : one,
    ) ?? 'null',
  )

describe.skipIf(!isIsolated())('the host of a daemon', () => {
  test('does what a host in process does', async () => {
    const seen: unknown[][] = []
    for (const host of await bothHosts()) {
      const steps: unknown[] = []
      for (const name of ['pod:setup:start', 'pod:setup:done', 'pod:teardown:done'] as const) {
        host.events.on(name, (event) => steps.push([name, steady(event)]))
      }
      steps.push(steady(await host.setUpPod({ ...web, annotations: { a: 'b' } })))
      steps.push(steady(await host.pod(web)), steady(await host.pods()))
      steps.push(await host.checkPod(web), await host.status())
      const { start, from, capabilities } = await host.plugin()
      steps.push(steady(start), steady(from), capabilities())
      steps.push(steady(await host.repair()))
      await host.collectGarbage()
      await host.event('repair', {})
      steps.push(await host.tearDownPod(web), await host.pod(web), await host.pods())
      await host.setUpPod(web)
      steps.push(steady(await host.prune({ all: true })))
      seen.push(steps)
    }
    expect(seen[1]).toEqual(seen[0])
  })

  test('fails as a host in process does', async () => {
    const failing = `setUpPod: async (pod) => {
      if (pod.name === 'bad') throw Object.assign(new TypeError('no bridge'), { code: 'ENODEV', cause: new Error('root') })
      return { ip: '192.0.2.9' } },`
    const seen: unknown[][] = []
    for (const host of await bothHosts(failing)) {
      await host.setUpPod(web)
      seen.push([
        await failure(host.setUpPod({ ...web, name: 'bad' })),
        await failure(host.setUpPod({ ...web, name: 'a_b' })),
        await failure(host.setUpPod({ ...web, name: '' })),
        await failure(host.setUpPod({ ...web, mustBeNew: true })),
        await failure(host.setUpPod({ ...web, name: 'other', netns: '/etc/passwd' })),
        await failure(host.checkPod({ ...web, name: 'none' })),
        await failure(host.tearDownPod({ namespace: '..', name: 'web' })),
      ])
      await host.tearDownPod(web)
    }
    // An empty name can't be part of a path, and is a space there.
    const spaced = (one: unknown) =>
      JSON.parse(
        JSON.stringify(steady(one))
          .replaceAll('name \\"\\"', 'name \\" \\"')
          .replaceAll('"name":""', '"name":" "'),
      )
    expect(steady(seen[1])).toEqual(spaced(seen[0]))
  })

  test('aborts an operation in the daemon, and waits until it is undone', async () => {
    for (const host of await bothHosts(slow)) {
      const controller = new AbortController()
      const reason = new Error('enough')
      const up = host.setUpPod(web, { signal: controller.signal })
      await until(async () => (await host.pod(web)) !== undefined)
      controller.abort(reason)
      const error: unknown = await up.catch((one: unknown) => one)
      expect(error).toMatchObject({ code: 'PLUGIN_OPERATION_FAILED' })
      expect((error as Error).cause).toBe(reason)
      expect(await host.pods()).toEqual([])
      expect(readdirSync('/run/netns')).toEqual([])
      await expect(host.setUpPod(web, { signal: controller.signal })).rejects.toThrow()
    }
  })

  test('keeps its connection, and makes another when the daemon was started anew', async () => {
    const { host, daemon, load } = await startTestDaemon()
    const heard: string[] = []
    host.events.on('pod:setup:done', ({ pod }) => heard.push(pod.name))
    await host.setUpPod(web)
    await daemon.stop()
    await expect(host.pods()).rejects.toMatchObject({ code: 'DAEMON_NOT_RUNNING' })
    const next = await startDaemon({ load, log: recordingLogger(), version: '', env: {} })
    afterThis(() => next.stop(0))
    expect(await host.pods()).toHaveLength(1)
    let others = 0
    await until(async () => {
      await host.setUpPod({ ...web, name: `other-${others++}` })
      return heard.length > 1
    })
    expect(heard[0]).toBe('web')
  })

  test('follows events over the end of the daemon, and hears what was dropped', async () => {
    const { daemon, load, host } = await startTestDaemon()
    const ended = new AbortController()
    afterThis(() => ended.abort())
    const heard: string[] = []
    const following = (async () => {
      for await (const { event } of streamEvents(daemon.socket, { signal: ended.signal, fromStart: true }))
        heard.push(event)
    })()
    await host.setUpPod(web)
    await until(() => heard.includes('pod:setup:done'))
    await daemon.stop()
    const next = await startDaemon({ load, log: recordingLogger(), version: '', env: {} })
    afterThis(() => next.stop(0))
    await until(() => heard.includes('events:dropped'))
    ended.abort()
    await following
    expect(heard.slice(0, 4)).toEqual(['open', 'plugin:ready', 'pod:setup:start', 'pod:setup:done'])
  })

  test('says of a listener that throws, and goes on', async () => {
    const { host, log } = await startTestDaemon()
    host.events.on('pod:setup:done', () => {
      throw new Error('my mistake')
    })
    await host.setUpPod(web)
    await until(() => log.messages('error').some((message) => message.includes('my mistake')))
  })
})

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} }

describe.skipIf(!isIsolated())('a socket', () => {
  test('that is not there, or nobody listens at, says so', async () => {
    const { dir } = configured()
    await expect(connectNetworkHost({ socket: join(dir, 'none.sock') })).rejects.toMatchObject({
      code: 'DAEMON_NOT_RUNNING',
      message: expect.stringContaining('podwire daemon'),
    })
  })

  test.each([
    ['others may write to', (path: string) => chmodSync(path, 0o777)],
    ['lies in a directory that others may write to', (path: string) => chmodSync(join(path, '..'), 0o777)],
  ])('that %s is not trusted', distrusts)

  // Root of a user namespace has nobody there to give them to.
  test.skipIf(isUserNamespace).each([
    ['belongs to another user', (path: string) => chownSync(path, 4711, 0)],
    ['lies in a directory of another user', (path: string) => chownSync(join(path, '..'), 4711, 0)],
  ])('that %s is not trusted', distrusts)

  async function distrusts(_what: string, spoil: (path: string) => void): Promise<void> {
    const { dir } = configured()
    mkdirSync(join(dir, 'state'), { mode: 0o700 })
    const socket = join(dir, 'state/podwire.sock')
    const server = createServer().listen(socket)
    afterThis(() => server.close())
    await until(() => server.listening)
    chmodSync(socket, 0o600)
    spoil(socket)
    await expect(connectNetworkHost({ socket, log: silent })).rejects.toMatchObject({
      code: 'SOCKET_UNTRUSTED',
      exitCode: 2,
    })
  }

  test('that is a file is not trusted', async () => {
    const { dir } = configured()
    const socket = join(dir, 'podwire.sock')
    writeFileSync(socket, '')
    await expect(connectNetworkHost({ socket })).rejects.toMatchObject({ code: 'SOCKET_UNTRUSTED' })
  })

  test.each([
    ['what is not HTTP', 'SSH-2.0-OpenSSH\r\n'],
    ['a page', 'HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>'],
    ['another version', 'HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n{"apiVersion":2}'],
    ['an error of its own', 'HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\n{}'],
    ['half an answer', 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{'],
  ])('where %s is answered is no daemon', async (_what, text) => {
    const { dir } = configured()
    const socket = join(dir, 'podwire.sock')
    const server = createServer((client) => client.end(text)).listen(socket)
    afterThis(() => server.close())
    await until(() => server.listening)
    chmodSync(socket, 0o600)
    await expect(connectNetworkHost({ socket })).rejects.toMatchObject({
      code: expect.stringMatching(/^DAEMON_(ANSWER|CONNECTION_LOST)$/),
    })
  })
})
