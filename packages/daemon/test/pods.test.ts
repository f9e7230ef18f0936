import { existsSync, readdirSync } from 'node:fs'
import { isIsolated } from '@podwire/testing'
import { describe, expect, test } from 'vitest'
import { sandboxRecord } from '../src/http/schemas.ts'
import { startTestDaemon, until } from './daemon.ts'

const web = '/v1/pods/default/web'

describe.skipIf(!isIsolated())('a daemon, asked over its socket', () => {
  test('sets pods up and tears them down, each as often as it is asked', async () => {
    const { ask, stateDir } = await startTestDaemon()
    const up = await ask('PUT', web, { annotations: { team: 'a' } })
    expect(up).toMatchObject({
      status: 200,
      body: {
        phase: 'ready',
        plugin: 'odd',
        pod: { name: 'web', annotations: { team: 'a' } },
        status: { ip: '192.0.2.9' },
      },
    })
    expect((await ask('PUT', web, { annotations: { team: 'a' } })).body).toEqual(up.body)
    expect((await ask('GET', web)).body).toEqual(up.body)
    expect((await ask('POST', `${web}/check`)).status).toBe(204)
    expect(existsSync(up.body.pod.netns)).toBe(true)
    expect(await ask('DELETE', web)).toMatchObject({ status: 200, body: { left: [] } })
    expect(await ask('DELETE', web)).toMatchObject({ status: 200, body: { left: [] } })
    expect(existsSync(up.body.pod.netns)).toBe(false)
    expect(readdirSync(`${stateDir}/sandboxes`)).toEqual([])
  })

  test('answers with records as its OpenAPI document describes them, and nothing besides', async () => {
    const { ask } = await startTestDaemon()
    const { body } = await ask('PUT', web, {})
    expect(sandboxRecord.parse(body)).toEqual(body)
  })

  test('takes what a pod may reach, and gives it in its record', async () => {
    const { ask } = await startTestDaemon('capabilities: () => 1 << 6')
    const policy = {
      egress: {
        default: 'deny',
        allow: [{ host: 'example.org', ports: [443, '8000-8100'], protocol: 'tcp' }],
      },
      ingress: { default: 'allow', deny: [{ pod: { namespace: 'other', annotations: { a: 'b' } } }] },
    }
    const { status, body } = await ask('PUT', web, { policy })
    expect([status, body.pod.policy]).toEqual([200, policy])
    expect(sandboxRecord.parse(body)).toEqual(body)
    expect((await ask('GET', web)).body.pod.policy).toEqual(policy)
  })

  test('lists pods, and those that a filter lets through', async () => {
    const { ask } = await startTestDaemon()
    for (const path of ['/v1/pods/a/one', '/v1/pods/a/two', '/v1/pods/b/one']) await ask('PUT', path, {})
    const names = async (query: string) => {
      const { body } = await ask('GET', `/v1/pods${query}`)
      return body.pods
        .map(({ pod }: { pod: { namespace: string; name: string } }) => `${pod.namespace}/${pod.name}`)
        .sort()
    }
    expect(await names('')).toEqual(['a/one', 'a/two', 'b/one'])
    expect(await names('?namespace=a')).toEqual(['a/one', 'a/two'])
    expect(await names('?phase=ready&plugin=odd&namespace=b')).toEqual(['b/one'])
    expect(await names('?phase=tearing-down')).toEqual([])
    expect((await ask('POST', '/v1/prune', { all: true })).body.pods).toHaveLength(3)
    expect(await names('')).toEqual([])
  })

  test.each([
    ['GET', web, undefined, 404, 'POD_NOT_FOUND', 'no pod default/web'],
    ['POST', `${web}/check`, undefined, 404, 'UNKNOWN_POD', 'no pod default/web'],
    ['PUT', '/v1/pods/default/a_b', {}, 400, 'INVALID_POD', 'name "a_b"'],
    ['PUT', '/v1/pods/../web', {}, 400, 'INVALID_POD', 'namespace ".."'],
    ['PUT', '/v1/pods/default/%2e%2e%2f%00', {}, 400, 'INVALID_POD', 'name'],
    ['PUT', web, { netns: '/etc/passwd' }, 400, 'NOT_A_NETNS', 'not a network namespace'],
    [
      'PUT',
      web,
      { portMappings: [{ hostPort: 99999, containerPort: 80, protocol: 'tcp' }] },
      400,
      'INVALID_POD',
      '99999',
    ],
    ['PUT', web, { policy: { egress: { default: 'deny' } } }, 400, 'MISSING_CAPABILITY', 'policy'],
    [
      'PUT',
      web,
      { policy: { egress: { default: 'deny', allow: [{ cidr: 'x' }] } } },
      400,
      'INVALID_POD',
      '"x"',
    ],
    ['PUT', web, { policy: { egress: { allow: [] } } }, 400, 'INVALID_REQUEST', 'body.policy.egress.default'],
    ['PUT', web, { netsn: '/run/x' }, 400, 'INVALID_REQUEST', 'netsn'],
    ['PUT', web, { annotations: { a: 1 } }, 400, 'INVALID_REQUEST', 'body.annotations.a'],
    ['PUT', web, '{"annotations":', 400, 'INVALID_REQUEST', 'JSON'],
    ['PUT', web, '{"__proto__":{"x":1}}', 400, 'INVALID_REQUEST', ''],
    ['GET', '/v1/pods?phase=odd', undefined, 400, 'INVALID_REQUEST', 'query.phase'],
    ['GET', '/v1/none', undefined, 404, 'NO_SUCH_ROUTE', '/v1/none'],
    ['PATCH', web, {}, 404, 'NO_SUCH_ROUTE', 'PATCH'],
    ['DELETE', '/v1/operations/none', undefined, 404, 'UNKNOWN_OPERATION', 'none'],
    ['DELETE', '/v1/operations/a%2fb', undefined, 400, 'INVALID_REQUEST', 'letters'],
  ])('%s %s is an error that says why', async (method, path, body, status, code, text) => {
    const { ask } = await startTestDaemon()
    const answer = await ask(method, path, body)
    expect(answer.body.error).toMatchObject({ code, message: expect.stringContaining(text) })
    expect(answer.status).toBe(status)
    expect((await ask('GET', '/v1/pods')).body.pods).toEqual([])
  })

  test('tells the whole of an error: its causes, and what the plugin said', async () => {
    const { ask } = await startTestDaemon(`setUpPod: async () => { throw new Error('no bridge') },`)
    const { status, body } = await ask('PUT', web, {})
    expect(status).toBe(500)
    expect(body.error).toMatchObject({
      code: 'PLUGIN_OPERATION_FAILED',
      exitCode: 1,
      details: { plugin: 'odd', operation: 'set up', pod: { name: 'web' } },
      cause: { message: 'no bridge' },
    })
  })

  const slow = `setUpPod: (pod, signal) => new Promise((resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),`

  test('aborts an operation when its client asks, and answers when it is undone', async () => {
    const { ask, stateDir } = await startTestDaemon(slow)
    const up = ask('PUT', web, {}, { headers: { 'podwire-operation': 'mine' } })
    await until(async () => (await ask('GET', web)).status === 200)
    expect((await ask('DELETE', '/v1/operations/mine')).status).toBe(204)
    const { body } = await up
    expect(body.error.cause).toMatchObject({ code: 'OPERATION_ABORTED', details: { why: 'asked' } })
    expect(readdirSync(`${stateDir}/sandboxes`)).toEqual([])
    expect(readdirSync('/run/netns')).toEqual([])
  })

  test('aborts an operation whose client is gone', async () => {
    const { ask, stateDir } = await startTestDaemon(slow)
    const gone = new AbortController()
    const up = ask('PUT', web, {}, { signal: gone.signal })
    await until(async () => (await ask('GET', web)).status === 200)
    gone.abort()
    await expect(up).rejects.toThrow()
    await until(() => readdirSync(`${stateDir}/sandboxes`).length === 0)
    expect(readdirSync('/run/netns')).toEqual([])
  })

  test('loses nothing when 64 clients come and go at once', async () => {
    const { ask } = await startTestDaemon()
    const paths = Array.from({ length: 64 }, (_, i) => `/v1/pods/default/pod-${i}`)
    const answers = await Promise.all([...paths, ...paths].map((path) => ask('PUT', path, {})))
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
    expect((await ask('GET', '/v1/pods')).body.pods).toHaveLength(64)
    await Promise.all(paths.map((path) => ask('DELETE', path)))
    expect((await ask('GET', '/v1/pods')).body.pods).toEqual([])
    expect(readdirSync('/run/netns')).toEqual([])
  })
})
