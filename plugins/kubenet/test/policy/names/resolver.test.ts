import { setTimeout as sleep } from 'node:timers/promises'
import { recordingLogger } from '@podwire/testing'
import type { Answer, RecordType } from 'dns-packet'
import { describe, expect, it } from 'vitest'
import { addressesOf, ask, askOverTcp, question, send } from './asking.ts'
import { startResolver } from './start-resolver.ts'
import { a, aaaa, cname, soa, withCode } from './upstream.ts'

const NXDOMAIN = 3
const SERVFAIL = 2

describe('an allowed name', () => {
  it('is looked up, and its addresses are admitted before the answer leaves', async () => {
    const events: string[] = []
    const { port } = await startResolver(() => [a('example.org', '8.8.8.8'), a('example.org', '8.8.4.4')], {
      async admit(source, name, addresses) {
        await sleep(50)
        events.push(`${source} ${name} ${addresses.map(({ address }) => address)}`)
      },
    })
    const heard = await ask(port, 'example.org')
    events.push('answered')
    expect(addressesOf(heard)).toEqual(['8.8.8.8', '8.8.4.4'])
    expect(events).toEqual(['127.0.0.1 example.org 8.8.8.8,8.8.4.4', 'answered'])
  })

  it('is answered over IPv6 and TCP too, each question for itself', async () => {
    const { port, upstream, admitted } = await startResolver(({ name, type }) =>
      type === 'A' ? [a(name, '8.8.8.8')] : [aaaa(name, '2606:4700:0:0::1111')],
    )
    expect(addressesOf(await askOverTcp(port, 'example.org'))).toEqual(['8.8.8.8'])
    expect(addressesOf(await ask(port, 'example.org', { type: 'AAAA' }))).toEqual(['2606:4700::1111'])
    expect(upstream.asked).toEqual(['udp A example.org', 'udp AAAA example.org'])
    expect(admitted).toEqual(['127.0.0.1 example.org 8.8.8.8', '127.0.0.1 example.org 2606:4700::1111'])
  })

  it('is the same name in any case, and comes back as it was asked for', async () => {
    const { port, upstream, admitted } = await startResolver(({ name }) => [a(name, '8.8.8.8')])
    const heard = await ask(port, 'eXaMpLe.ORG')
    expect(heard.answers.map(({ name }) => name)).toEqual(['eXaMpLe.ORG'])
    await ask(port, 'example.org')
    expect(upstream.asked).toEqual(['udp A example.org'])
    expect(admitted[0]).toBe('127.0.0.1 example.org 8.8.8.8')
  })

  it('is followed through CNAMEs, wherever they lead: the name asked for decides', async () => {
    const { port, admitted, refusals } = await startResolver(() => [
      cname('www.example.org', 'edge.cdn.net', 100),
      cname('edge.cdn.net', 'pop7.cdn.net', 20),
      a('pop7.cdn.net', '8.8.8.8', 60),
      a('somewhere.else.net', '9.9.9.9'),
    ])
    const heard = await ask(port, 'www.example.org')
    expect(heard.answers.map(({ name, type }) => `${name} ${type}`)).toEqual([
      'www.example.org CNAME',
      'edge.cdn.net CNAME',
      'pop7.cdn.net A',
    ])
    expect(heard.answers[2]).toMatchObject({ data: '8.8.8.8', ttl: 20 })
    expect(admitted).toEqual(['127.0.0.1 www.example.org 8.8.8.8'])
    expect(refusals).toEqual([])
  })

  it('is followed further where an upstream stops at a CNAME', async () => {
    const { port, upstream } = await startResolver(({ name }) =>
      name === 'www.example.org' ? [cname(name, 'cdn.net')] : [a(name, '8.8.8.8')],
    )
    expect(addressesOf(await ask(port, 'www.example.org'))).toEqual(['8.8.8.8'])
    expect(upstream.asked).toEqual(['udp A www.example.org', 'udp A cdn.net'])
  })

  it('of which CNAMEs have no end is a failure, soon', async () => {
    let at = 0
    const { port } = await startResolver(({ name }) => [cname(name, `n${++at}.net`)])
    expect((await ask(port, 'endless.org')).code).toBe(SERVFAIL)
    expect(at).toBeLessThan(30)
  })

  it('of which CNAMEs run in a circle is a failure', async () => {
    const { port } = await startResolver(({ name }) => [cname(name, 'b.org'), cname('b.org', name)])
    expect((await ask(port, 'a.org')).code).toBe(SERVFAIL)
  })

  it('is a failure where admitting fails, and where it never ends', async () => {
    const { port } = await startResolver(({ name }) => [a(name, '8.8.8.8')], {
      admit: (_, name) =>
        name === 'fails.org' ? Promise.reject(new Error('the set is full')) : new Promise(() => undefined),
    })
    expect(await ask(port, 'fails.org')).toMatchObject({ code: SERVFAIL, answers: [] })
    expect(await ask(port, 'hangs.org')).toMatchObject({ code: SERVFAIL, answers: [] })
  })

  it('that is short is looked for in the search domains', async () => {
    const { port, upstream, admitted } = await startResolver(
      ({ name }) => (name === 'db.two.example' ? [a(name, '8.8.8.8')] : withCode(NXDOMAIN)),
      {
        decide: (_, name) => (name === 'db' ? 'allow' : 'refuse'),
        upstreams: { search: ['one.example', 'two.example'] },
      },
    )
    const heard = await ask(port, 'db')
    expect(heard.answers).toMatchObject([
      { type: 'CNAME', name: 'db', data: 'db.two.example' },
      { type: 'A', name: 'db.two.example', data: '8.8.8.8' },
    ])
    expect(admitted).toEqual(['127.0.0.1 db 8.8.8.8'])
    expect(upstream.asked).toEqual(['udp A db.one.example', 'udp A db.two.example'])
  })
})

describe('a name that is not allowed', () => {
  it('does not exist, is told, and is never asked for', async () => {
    const { port, upstream, refusals, admitted } = await startResolver(({ name }) => [a(name, '8.8.8.8')])
    const heard = await ask(port, 'evil.com')
    expect(heard).toMatchObject({ code: NXDOMAIN, answers: [] })
    // RFC 8914: blocked.
    expect(heard.bytes.includes(Buffer.from([0, 15]))).toBe(true)
    expect(heard.bytes.toString('latin1')).toContain('the policy of the pod')
    expect(upstream.asked).toEqual([])
    expect(admitted).toEqual([])
    expect(refusals).toEqual([{ source: '127.0.0.1', name: 'evil.com', type: 1, reason: 'name' }])
  })

  it('is so for each pod by itself, although another one has it in the cache', async () => {
    const { port } = await startResolver(({ name }) => [a(name, '8.8.8.8')], {
      decide: (source) => (source === '127.0.0.2' ? 'allow' : 'refuse'),
    })
    expect(addressesOf(await ask(port, 'a.org', { from: '127.0.0.2' }))).toEqual(['8.8.8.8'])
    expect((await ask(port, 'a.org', { from: '127.0.0.3' })).code).toBe(NXDOMAIN)
  })

  it('is so although it was allowed when the pod asked, where the policy changed before the answer came', async () => {
    let allowed = true
    const { port, admitted } = await startResolver(
      ({ name }) => {
        allowed = false
        return [a(name, '8.8.8.8')]
      },
      { decide: () => (allowed ? 'allow' : 'refuse') },
    )
    expect(await ask(port, 'a.org')).toMatchObject({ code: NXDOMAIN, answers: [] })
    expect(admitted).toEqual([])
  })

  it('is not told where a listener throws, and refused where the decision throws', async () => {
    const { port } = await startResolver(({ name }) => [a(name, '8.8.8.8')], {
      decide: (_, name) => {
        if (name === 'throws.org') throw new Error('no policy')
        return 'refuse'
      },
      onRefused: () => {
        throw new Error('listener')
      },
    })
    expect((await ask(port, 'evil.com')).code).toBe(NXDOMAIN)
    expect(await ask(port, 'throws.org')).toMatchObject({ code: SERVFAIL, answers: [] })
  })

  // A label with a dot in it reads as two.
  it.each([
    ['a dot in a label', Buffer.from('\x0bevil.com.or\x03org\x00', 'latin1')],
    ['a zero byte in a label', Buffer.from('\x08evil\x00com\x03org\x00', 'latin1')],
    ['bytes that are not ASCII', Buffer.from('\x02\xc3\xa9\x03org\x00', 'latin1')],
    ['a pointer', Buffer.from('\x01a\xc0\x0c', 'latin1')],
    ['a label of 64', Buffer.from(`\x40${'a'.repeat(64)}\x03org\x00`, 'latin1')],
    ['256 octets', Buffer.from(`${`\x3f${'a'.repeat(63)}`.repeat(4)}\x00`, 'latin1')],
  ])('is what has %s', async (_, name) => {
    const { port, upstream } = await startResolver(({ name }) => [a(name, '8.8.8.8')], {
      decide: () => 'allow',
    })
    const header = Buffer.from([1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0])
    const heard = await send(port, Buffer.concat([header, name, Buffer.from([0, 1, 0, 1])]), 5_000)
    expect(heard?.code).toBe(1)
    expect(upstream.asked).toEqual([])
  })
})

it('fills no log with failures', async () => {
  const log = recordingLogger()
  const { port } = await startResolver(() => withCode(SERVFAIL), { log })
  for (let at = 0; at < 50; at++) await ask(port, `n${at}.org`)
  expect(log.entries.length).toBeGreaterThan(0)
  expect(log.entries.length).toBeLessThan(20)
})

describe('a name that the host answers', () => {
  it('has the addresses of the host’s choice, by family, and asks nobody', async () => {
    const { port, upstream } = await startResolver(() => [], {
      decide: () => ({ addresses: ['10.88.0.7', 'fd88::7'] }),
    })
    expect(addressesOf(await ask(port, 'web.default.pod'))).toEqual(['10.88.0.7'])
    expect(addressesOf(await ask(port, 'web.default.pod', { type: 'AAAA' }))).toEqual(['fd88::7'])
    expect(await ask(port, 'web.default.pod', { type: 'MX' })).toMatchObject({ code: 0, answers: [] })
    expect(upstream.asked).toEqual([])
  })
})

describe('addresses that are not the internet’s', () => {
  it('are kept from a pod, told, and not admitted; the others are passed on', async () => {
    const { port, admitted, refusals } = await startResolver(({ name }) => [
      a(name, '169.254.169.254'),
      a(name, '8.8.8.8'),
      a(name, '127.0.0.1'),
    ])
    expect(addressesOf(await ask(port, 'rebind.org'))).toEqual(['8.8.8.8'])
    expect(admitted).toEqual(['127.0.0.1 rebind.org 8.8.8.8'])
    const about = { source: '127.0.0.1', name: 'rebind.org', type: 1, reason: 'address' }
    expect(refusals).toEqual([
      { ...about, address: '169.254.169.254', kind: 'metadata' },
      { ...about, address: '127.0.0.1', kind: 'loopback' },
    ])
  })

  it('leave nothing where there is no other, through a CNAME too', async () => {
    const { port, admitted } = await startResolver(({ name }) => [
      cname(name, 'in.example'),
      a('in.example', '10.0.0.1'),
    ])
    expect(await ask(port, 'rebind.org')).toMatchObject({ code: 0, answers: [] })
    expect(admitted).toEqual([])
  })

  it('are passed on to a pod that may have them, and to no other', async () => {
    const { port, admitted } = await startResolver(({ name }) => [a(name, '10.1.2.3')], {
      permits: (source, address) => source === '127.0.0.2' && address === '10.1.2.3',
    })
    expect(addressesOf(await ask(port, 'db.org', { from: '127.0.0.2' }))).toEqual(['10.1.2.3'])
    expect(addressesOf(await ask(port, 'db.org', { from: '127.0.0.3' }))).toEqual([])
    expect(admitted).toEqual(['127.0.0.2 db.org 10.1.2.3'])
  })

  it('stay out when a name is rebound: a new answer is looked at as the first one was', async () => {
    let address = '8.8.8.8'
    const { port } = await startResolver(({ name }) => [a(name, address, 0)])
    expect(addressesOf(await ask(port, 'rebind.org'))).toEqual(['8.8.8.8'])
    address = '127.0.0.1'
    await expect
      .poll(async () => addressesOf(await ask(port, 'rebind.org')), { timeout: 15_000, interval: 500 })
      .toEqual([])
  })
})

describe('types', () => {
  it.each<[RecordType, Answer]>([
    ['TXT', { type: 'TXT', name: 'a.org', ttl: 60, data: [Buffer.from('v=spf1 ip4:10.0.0.1')] }],
    ['MX', { type: 'MX', name: 'a.org', ttl: 60, data: { preference: 10, exchange: 'mail.other.net' } }],
    [
      'SRV',
      { type: 'SRV', name: 'a.org', ttl: 60, data: { priority: 1, weight: 2, port: 443, target: 'b.net' } },
    ],
    ['NS', { type: 'NS', name: 'a.org', ttl: 60, data: 'ns.other.net' }],
    ['PTR', { type: 'PTR', name: 'a.org', ttl: 60, data: 'b.other.net' }],
  ])('%s is passed on, and admits nothing, with no addresses beside it', async (type, record) => {
    const { port, admitted } = await startResolver(() => ({
      answers: [record],
      additionals: [a('mail.other.net', '9.9.9.9')],
    }))
    const { answers, bytes } = await ask(port, 'a.org', { type })
    expect(answers).toMatchObject([record])
    expect(bytes.includes(Buffer.from([9, 9, 9, 9]))).toBe(false)
    expect(admitted).toEqual([])
  })

  // Priority 1, its own name, alpn h2, ipv4hint 9.9.9.9, ipv6hint.
  const alpn = Buffer.from([0, 1, 0, 3, 2, 0x68, 0x32])
  const hints = Buffer.concat([
    Buffer.from([0, 4, 0, 4, 9, 9, 9, 9]),
    Buffer.from([0, 6, 0, 16]),
    Buffer.alloc(16, 7),
  ])
  const https = (data: Buffer) => ({ type: 'UNKNOWN_65' as 'NULL', name: 'a.org', ttl: 60, data })

  it('HTTPS loses its hints of addresses', async () => {
    const { port } = await startResolver(() => [https(Buffer.concat([Buffer.from([0, 1, 0]), alpn, hints]))])
    const { answers } = await ask(port, 'a.org', { type: 'UNKNOWN_65' })
    expect(answers).toMatchObject([{ data: Buffer.concat([Buffer.from([0, 1, 0]), alpn]) }])
  })

  it.each([
    ['needs its hints', Buffer.concat([Buffer.from([0, 1, 0]), Buffer.from([0, 0, 0, 2, 0, 4]), hints])],
    [
      'leads to a name that is not allowed',
      Buffer.concat([Buffer.from('\x00\x00\x04evil\x03com\x00', 'latin1')]),
    ],
    ['is broken', Buffer.from([0, 1, 0, 0, 4, 0])],
    ['has a name without end', Buffer.from([0, 1, 60, 1])],
    ['is empty', Buffer.alloc(0)],
  ])('HTTPS that %s is left out', async (_, data) => {
    const { port } = await startResolver(() => [https(data)])
    expect(await ask(port, 'a.org', { type: 'UNKNOWN_65' })).toMatchObject({ code: 0, answers: [] })
  })

  it('ANY says as little as RFC 8482 lets it, and asks nobody', async () => {
    const { port, upstream } = await startResolver(() => [])
    const { answers } = await ask(port, 'a.org', { type: 'ANY' as 'A' })
    expect(answers).toMatchObject([{ type: 'HINFO', data: { cpu: 'RFC8482' } }])
    expect(upstream.asked).toEqual([])
  })

  it.each(['NULL', 'UNKNOWN_65280', 'RP', 'HIP'] as const)(
    '%s has no answer, and asks nobody',
    async (type) => {
      const { port, upstream } = await startResolver(() => [])
      expect(await ask(port, 'a.org', { type: type as 'NULL' })).toMatchObject({ code: 0, answers: [] })
      expect(upstream.asked).toEqual([])
    },
  )

  it.each(['AXFR', 'IXFR'] as const)('%s is refused', async (type) => {
    const { port } = await startResolver(() => [])
    expect((await ask(port, 'a.org', { type })).code).toBe(5)
  })

  it('of another class is refused', async () => {
    const { port } = await startResolver(() => [])
    const chaos = { questions: [{ name: 'version.bind', type: 'TXT', class: 'CH' }] } as const
    expect((await ask(port, '', { packet: { questions: [...chaos.questions] } })).code).toBe(5)
  })
})

describe('sizes', () => {
  const many = Array.from({ length: 60 }, (_, at) => a('many.org', `8.8.8.${at}`))

  it('an answer that is too long says so over UDP, admits nothing, and is whole over TCP', async () => {
    const { port, admitted } = await startResolver(({ transport }) =>
      transport === 'udp' ? { flags: 0x200 } : many,
    )
    for (const edns of [0, 512, 900]) {
      expect(await ask(port, 'many.org', { edns })).toMatchObject({ truncated: true, answers: [], code: 0 })
      expect(admitted).toEqual([])
    }
    expect(addressesOf(await askOverTcp(port, 'many.org'))).toHaveLength(60)
    expect(admitted).toHaveLength(60)
  })

  it('no answer over UDP is longer than what passes everywhere, whatever is asked for', async () => {
    const text = { type: 'TXT' as const, name: 'big.org', ttl: 60, data: Array(20).fill(Buffer.alloc(200)) }
    const { port } = await startResolver(({ transport }) => (transport === 'udp' ? { flags: 0x200 } : [text]))
    const heard = await ask(port, 'big.org', { type: 'TXT', edns: 65_535 })
    expect(heard.truncated).toBe(true)
    expect((await askOverTcp(port, 'big.org', { type: 'TXT' })).bytes.length).toBeGreaterThan(4_000)
  })

  it('repeats a name in two bytes', async () => {
    const { port } = await startResolver(() => many.slice(0, 20))
    const { bytes, truncated } = await ask(port, 'many.org', { edns: 0 })
    expect(truncated).toBe(false)
    expect(bytes.length).toBe(question('many.org', { edns: 0 }).length + 20 * 16)
  })
})

describe('the cache', () => {
  it('keeps an answer for its TTL, which grows less, and admits its addresses each time for as long', async () => {
    const { port, upstream, ttls, stats } = await startResolver(({ name }) => [a(name, '8.8.8.8', 30)])
    await ask(port, 'a.org')
    await sleep(1_100)
    const heard = await ask(port, 'a.org')
    expect(upstream.asked).toHaveLength(1)
    expect(heard.answers[0]).toHaveProperty(
      'ttl',
      expect.toSatisfy((ttl: number) => ttl < 30 && ttl > 0),
    )
    expect(ttls[0]).toBe(90)
    expect(ttls[1]).toBeLessThan(90)
    expect(stats()).toMatchObject({ questions: 2, fromCache: 1 })
  })

  it.each([
    [0, 5],
    [1, 5],
    [2 ** 31 - 1, 3_600],
    [2 ** 31, 5],
    [2 ** 32 - 1, 5],
  ])('makes %i s %i s', async (ttl, kept) => {
    const { port } = await startResolver(({ name }) => [a(name, '8.8.8.8', ttl)])
    expect((await ask(port, 'a.org')).answers).toMatchObject([{ ttl: kept }])
  })

  it('keeps that there is no such name, and no such record', async () => {
    const { port, upstream } = await startResolver(({ name }) =>
      name === 'none.org'
        ? { flags: 0x183, authorities: [soa('org', 30)] }
        : { authorities: [soa('org', 30)] },
    )
    for (let i = 0; i < 3; i++) {
      expect(await ask(port, 'none.org')).toMatchObject({ code: NXDOMAIN, answers: [] })
      expect(await ask(port, 'empty.org')).toMatchObject({ code: 0, answers: [] })
    }
    expect(upstream.asked).toEqual(['udp A none.org', 'udp A empty.org'])
  })

  it('asks once for what several ask at the same time', async () => {
    const { port, upstream } = await startResolver(async ({ name }) => {
      await sleep(200)
      return [a(name, '8.8.8.8')]
    })
    const heard = await Promise.all(Array.from({ length: 20 }, () => ask(port, 'a.org')))
    for (const each of heard) expect(addressesOf(each)).toEqual(['8.8.8.8'])
    expect(upstream.asked).toEqual(['udp A a.org'])
  })

  it('asks anew before an answer in use goes, and nobody waits for that', async () => {
    let slow = 0
    const { port, upstream, stats } = await startResolver(async ({ name }) => {
      await sleep(slow)
      return [a(name, '8.8.8.8', 5)]
    })
    await ask(port, 'a.org')
    slow = 300
    // Asked for again and again, it is never missing.
    const ended = performance.now() + 7_000
    let longest = 0
    while (performance.now() < ended) {
      const started = performance.now()
      expect(addressesOf(await ask(port, 'a.org'))).toEqual(['8.8.8.8'])
      longest = Math.max(longest, performance.now() - started)
      await sleep(100)
    }
    expect(stats().prefetches).toBeGreaterThan(0)
    expect(stats().questions - stats().fromCache).toBe(1)
    expect(upstream.asked.length).toBe(1 + stats().prefetches)
  })

  it('stays within its bounds', async () => {
    const { port, stats } = await startResolver(({ name }) => [a(name, '8.8.8.8')], {
      limits: { cacheEntries: 10, cacheBytes: 5_000 },
    })
    for (let at = 0; at < 30; at++) await ask(port, `n${at}.org`)
    expect(stats().cache.entries).toBeLessThanOrEqual(10)
    expect(stats().cache.bytes).toBeLessThanOrEqual(5_000)
    expect(stats().cache.entries).toBeGreaterThan(0)
  })
})
