import { execFile, spawnSync } from 'node:child_process'
import { Resolver as Client } from 'node:dns/promises'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startResolver } from './start-resolver.ts'
import { a, aaaa, cname, withCode } from './upstream.ts'

const NXDOMAIN = 3

describe('programs by Node’s own resolver', () => {
  const start = async () => {
    const { port } = await startResolver(({ name, type, transport }) => {
      if (name === 'gone.org') return withCode(NXDOMAIN)
      if (name === 'big.org')
        return transport === 'udp'
          ? { flags: 0x200 }
          : Array.from({ length: 60 }, (_, at) => a(name, `8.8.8.${at}`))
      if (type === 'A') return [cname(name, 'cdn.net'), a('cdn.net', '8.8.8.8')]
      if (type === 'AAAA') return [aaaa(name, '2606:4700::1111')]
      return [{ type: 'MX', name, ttl: 60, data: { preference: 10, exchange: 'mail.net' } }]
    })
    const client = new Client({ timeout: 5_000, tries: 2 })
    client.setServers([`127.0.0.1:${port}`])
    return client
  }

  it('have what they ask for', async () => {
    const client = await start()
    expect(await client.resolve4('www.a.org', { ttl: true })).toEqual([{ address: '8.8.8.8', ttl: 300 }])
    expect(await client.resolve6('a.org')).toEqual(['2606:4700::1111'])
    expect(await client.resolveMx('a.org')).toMatchObject([{ priority: 10, exchange: 'mail.net' }])
    expect(await client.resolve4('big.org')).toHaveLength(60)
  })

  it('hear at once that what is not there, and what is not allowed, is not there', async () => {
    const client = await start()
    const started = performance.now()
    await expect(client.resolve4('gone.org')).rejects.toHaveProperty('code', 'ENOTFOUND')
    await expect(client.resolve4('evil.com')).rejects.toHaveProperty('code', 'ENOTFOUND')
    expect(performance.now() - started).toBeLessThan(2_000)
  })
})

// It asks port 53, which is this test's own only in a network of its own.
describe.skipIf(process.env.PODWIRE_TEST_ISOLATED !== '1')('programs by the C library', () => {
  const start = async (lines: string, server = '127.0.0.1') => {
    const resolver = await startResolver(
      ({ name, type }) => {
        if (name !== 'db.corp.org' && name !== 'a.org') return withCode(NXDOMAIN)
        return type === 'A' ? [a(name, '8.8.8.8')] : [aaaa(name, '2606:4700::1111')]
      },
      { listen: { addresses: ['127.0.0.1', '::1'], port: 53 } },
    )
    // The C library asks for no addresses of a family that it has nothing but loopback of.
    for (const address of ['198.18.0.1/32', '2001:db8::1/128'])
      spawnSync('ip', ['address', 'add', address, 'dev', 'lo'])
    const dir = mkdtempSync(join(tmpdir(), 'podwire-resolver-'))
    onTestFinished(() => rmSync(dir, { recursive: true }))
    const file = join(dir, 'resolv.conf')
    writeFileSync(file, `nameserver ${server}\n${lines}\n`)
    const script = 'mount --bind "$1" /etc/resolv.conf && exec getent "$2" "$3"'
    const getent = (database: string, name: string) =>
      new Promise<{ code: number; addresses: string[] }>((resolve) => {
        const args = ['--mount', '--propagation', 'slave', 'sh', '-c', script, 'sh', file, database, name]
        const child = execFile('unshare', args, (_, stdout) => {
          const addresses = stdout.split('\n').flatMap((line) => line.split(/\s+/)[0] || [])
          resolve({ code: child.exitCode ?? -1, addresses: [...new Set(addresses)] })
        })
      })
    return { ...resolver, getent }
  }

  it('have addresses of both families', async () => {
    const { getent } = await start('')
    expect((await getent('ahostsv4', 'a.org')).addresses).toEqual(['8.8.8.8'])
    expect((await getent('ahostsv6', 'a.org')).addresses).toEqual(['2606:4700::1111'])
  })

  it('have them over TCP', async () => {
    const { getent } = await start('options use-vc')
    expect((await getent('ahostsv4', 'a.org')).addresses).toEqual(['8.8.8.8'])
  })

  it('have them over IPv6', async () => {
    const { getent, admitted } = await start('', '::1')
    expect((await getent('ahostsv4', 'a.org')).addresses).toEqual(['8.8.8.8'])
    expect(admitted).toEqual(['::1 a.org 8.8.8.8'])
  })

  it('go on through their search domains past names that are not allowed, and ask each once', async () => {
    const { getent, refusals } = await start('search evil.com corp.org')
    expect((await getent('ahostsv4', 'db')).addresses).toEqual(['8.8.8.8'])
    expect(refusals.map(({ name }) => name)).toEqual(['db.evil.com'])
  })

  it('hear at once that a name is not allowed, and ask for it once', async () => {
    const { getent, refusals } = await start('options timeout:5 attempts:3')
    const started = performance.now()
    // 2: one or more of the keys could not be found.
    expect((await getent('ahostsv4', 'evil.com')).code).toBe(2)
    expect(performance.now() - started).toBeLessThan(4_000)
    expect(refusals).toHaveLength(1)
  })
})
