import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { type EtcdMember, freePorts, hasEtcd, startEtcd, until } from '../../../../.dev/etcd-server.ts'
import { openEtcd } from '../../src/etcd/client.ts'
import { readEtcdOptions } from '../../src/etcd/files.ts'
import type { WatchedChange } from '../../src/etcd/watch.ts'
import { useEtcd } from './use-etcd.ts'

describe.skipIf(!hasEtcd)('etcd', () => {
  const etcd = useEtcd()

  test('reads what etcdctl wrote, and etcdctl what it wrote', async () => {
    await etcd.server.ctl('put', '/a/1', 'one')
    expect(await etcd.client.get('/a/1')).toMatchObject({ key: '/a/1', value: 'one' })
    expect(await etcd.client.get('/a/none')).toBeUndefined()
    await etcd.client.transaction([], [{ put: '/a/2', value: 'zwei ü' }])
    expect(await etcd.server.ctl('get', '/a/2', '--print-value-only')).toBe('zwei ü\n')
    expect((await etcd.client.list('/a/')).entries.map(({ key }) => key)).toEqual(['/a/1', '/a/2'])
  })

  test('lists more than fits into one answer, whatever the keys are, all of one moment', async () => {
    const keys = Array.from({ length: 2_345 }, (_, at) => `/pages/${String(at).padStart(5, '0')}`)
    for (let at = 0; at < keys.length; at += 100)
      await etcd.client.transaction(
        [],
        keys.slice(at, at + 100).map((put) => ({ put, value: 'x' })),
      )
    const { revision, entries } = await etcd.client.list('/pages/')
    expect(entries.map(({ key }) => key)).toEqual(keys)
    expect(revision).toBe((await etcd.client.list('/')).revision)
    // One that is not text stands where a page ends.
    await etcd.client.transaction([], [{ delete: keys[999]! }])
    const key = Buffer.concat([Buffer.from('/pages/00998'), Buffer.of(0xff, 0xfe)])
    const answer = await fetch(`${etcd.server.endpoint}/v3/kv/put`, {
      method: 'POST',
      body: JSON.stringify({ key: key.toString('base64'), value: '' }),
    })
    expect(answer.status).toBe(200)
    expect((await etcd.client.list('/pages/')).entries).toHaveLength(keys.length)
  })

  test('does a transaction whole or not at all', async () => {
    await etcd.server.ctl('put', '/t/1', 'one')
    const { modRevision } = (await etcd.client.get('/t/1'))!
    const compare = [{ key: '/t/1', modRevision }]
    expect(await etcd.client.transaction(compare, [{ put: '/t/1', value: 'two' }])).toMatchObject({
      succeeded: true,
    })
    const second = await etcd.client.transaction(
      compare,
      [{ put: '/t/1', value: 'three' }],
      [{ get: '/t/1' }],
    )
    expect(second).toMatchObject({ succeeded: false, found: [{ value: 'two' }] })
    // A key that is not there has the revision 0.
    const absent = [{ key: '/t/none', modRevision: 0 }]
    expect((await etcd.client.transaction(absent, [{ get: '/t/none' }])).succeeded).toBe(true)
  })

  test('holds a transaction against all that was written below a prefix since', async () => {
    const { revision } = await etcd.client.list('/r/')
    await etcd.server.ctl('put', '/elsewhere', 'x')
    const unchanged = [{ prefix: '/r/', unchangedSince: revision }]
    expect((await etcd.client.transaction(unchanged, [{ put: '/r/1', value: '' }])).succeeded).toBe(true)
    expect((await etcd.client.transaction(unchanged, [{ put: '/r/2', value: '' }])).succeeded).toBe(false)
  })

  test('begins leases, renews them, and ends them with their keys', async () => {
    const { id, seconds } = await etcd.client.grant(30)
    expect(seconds).toBe(30)
    await etcd.client.transaction([], [{ put: '/l/1', value: '', lease: id }])
    expect((await etcd.client.get('/l/1'))?.lease).toBe(id)
    expect((await etcd.client.transaction([{ key: '/l/1', lease: id }], [])).succeeded).toBe(true)
    expect((await etcd.client.transaction([{ key: '/l/1', lease: undefined }], [])).succeeded).toBe(false)
    expect(await etcd.client.keepAlive(id)).toBe(30)
    expect(await etcd.client.timeToLive(id)).toEqual({ seconds: expect.toBeOneOf([29, 30]), granted: 30 })
    await etcd.client.revoke(id)
    expect(await etcd.client.timeToLive(id)).toBeUndefined()
    expect(await etcd.client.get('/l/1')).toBeUndefined()
    expect(await etcd.client.keepAlive(id)).toBe(0)
  })

  test('tells of changes in order, over connections that end, until it is told to stop', async () => {
    const stopped = new AbortController()
    const { revision } = await etcd.client.list('/w/')
    const seen: string[] = []
    let next = revision + 1
    const watching = (async () => {
      while (!stopped.signal.aborted) {
        try {
          for await (const batch of etcd.client.watch('/w/', next, stopped.signal)) {
            next = batch.revision + 1
            seen.push(
              ...batch.changes.map(
                ({ change, entry }: WatchedChange) => `${change} ${entry.key} ${entry.value}`,
              ),
            )
          }
        } catch (error) {
          // While nobody answers at all it says so.
          if (!stopped.signal.aborted) expect(error).toMatchObject({ code: 'ETCD_UNREACHABLE' })
        }
      }
    })()
    await etcd.server.ctl('put', '/w/1', 'a')
    await etcd.server.ctl('put', '/other', 'a')
    await etcd.server.ctl('del', '/w/1')
    await until(() => seen.length === 2)
    await etcd.server.restart()
    await etcd.server.ctl('put', '/w/2', 'b')
    await until(() => seen.length === 3)
    expect(seen).toEqual(['put /w/1 a', 'deleted /w/1 ', 'put /w/2 b'])
    stopped.abort()
    await watching
  })

  test('says when what happened is forgotten', async () => {
    for (const value of ['a', 'b', 'c']) await etcd.server.ctl('put', '/c/1', value)
    const { revision } = await etcd.client.list('/c/')
    await etcd.server.ctl('compact', String(revision))
    const watch = etcd.client.watch('/c/', 2, new AbortController().signal)
    await expect(
      (async () => {
        for await (const _ of watch);
      })(),
    ).rejects.toMatchObject({ code: 'ETCD_COMPACTED' })
  })

  test('says when it was made anew meanwhile', async () => {
    const { revision } = await etcd.client.list('/c/')
    const watch = etcd.client.watch('/c/', revision + 1_000, new AbortController().signal)
    await expect(watch.next()).rejects.toMatchObject({ code: 'ETCD_COMPACTED' })
  })

  test('asks the next member where one does not answer', async () => {
    const [dead] = await freePorts(1)
    const both = openEtcd({ endpoints: [`http://127.0.0.1:${dead}`, etcd.server.endpoint] })
    await etcd.server.ctl('put', '/f/1', 'x')
    expect(await both.get('/f/1')).toMatchObject({ value: 'x' })
    both.close()
  })

  test('says of each endpoint why it did not answer', async () => {
    const [dead] = await freePorts(1)
    const none = openEtcd({ endpoints: [`http://127.0.0.1:${dead}`] })
    await expect(none.get('/x')).rejects.toMatchObject({
      code: 'ETCD_UNREACHABLE',
      message: expect.stringContaining('ECONNREFUSED'),
    })
    none.close()
  })

  test('takes no answer that is not of etcd', async () => {
    const server = createServer((socket) => {
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"kvs":7}'))
    }).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as { port: number } // of a TCP server
    const odd = openEtcd({ endpoints: [`http://127.0.0.1:${port}`] })
    await expect(odd.get('/x')).rejects.toMatchObject({ code: 'ETCD_ANSWER' })
    odd.close()
    server.close()
  })
})

describe.skipIf(!hasEtcd)('an etcd that asks for certificates and passwords', () => {
  test('is used with both, and refuses who lacks one', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'podwire-tls-'))
    afterAll(() => rmSync(dir, { recursive: true, force: true }))
    const file = (name: string) => join(dir, name)
    writeFileSync(file('ext'), 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n')
    const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: dir, stdio: 'ignore' })
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
    openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=ca', '-days', '2')
    for (const [name, subject] of [
      ['server', '/CN=server'],
      // With a common name etcd would take it for a user's, which its gateway can't be told.
      ['node', '/O=podwire'],
      ['named', '/CN=node'],
    ] as const) {
      openssl('req', ...key, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', subject)
      const ca = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'ext', '-days', '2']
      openssl('x509', '-req', '-in', `${name}.csr`, ...ca, '-out', `${name}.pem`)
    }
    const tls = ['--cert', file('node.pem'), '--key', file('node.key'), '--cacert', file('ca.pem')]
    const [member] = (await startEtcd(1, {
      scheme: 'https',
      args: [
        ...['--cert-file', file('server.pem'), '--key-file', file('server.key')],
        ...['--client-cert-auth', '--trusted-ca-file', file('ca.pem')],
      ],
      ctl: tls,
    })) as [EtcdMember]
    await member.ctl('user', 'add', 'root:secret')
    await member.ctl('user', 'grant-role', 'root', 'root')
    await member.ctl('auth', 'enable')

    const endpoints = [member.endpoint]
    const files = { endpoints, ca: file('ca.pem'), cert: file('node.pem'), key: file('node.key') }
    const login = { username: 'root', password: 'secret' }
    const etcd = openEtcd(readEtcdOptions({ ...files, ...login }))
    await etcd.transaction([], [{ put: '/s/1', value: 'x' }])
    expect(await etcd.get('/s/1')).toMatchObject({ value: 'x' })
    // A member forgets its tokens when it is started again.
    await member.restart()
    expect(await etcd.get('/s/1')).toMatchObject({ value: 'x' })
    await member.restart()
    const stopped = new AbortController()
    const first = await etcd.watch('/s/', 1, stopped.signal).next()
    expect(first.done).toBe(false)
    stopped.abort()
    etcd.close()

    const refused = async (options: Parameters<typeof readEtcdOptions>[0]) => {
      const other = openEtcd(readEtcdOptions(options))
      const code = await other.get('/s/1').then(
        () => 'answered',
        (error: { code: string }) => error.code,
      )
      other.close()
      return code
    }
    expect(await refused(files)).toBe('ETCD_REFUSED')
    const named = { ...files, cert: file('named.pem'), key: file('named.key') }
    expect(await refused({ ...named, ...login })).toBe('ETCD_REFUSED')
    expect(await refused({ ...files, ...login, password: 'wrong' })).toBe('ETCD_REFUSED')
    expect(await refused({ ...login, endpoints, ca: file('ca.pem') })).toBe('ETCD_UNREACHABLE')
    expect(await refused({ ...files, ...login, ca: undefined })).toBe('ETCD_UNREACHABLE')
  })
})
