import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { encode } from 'dns-packet'
import { describe, expect, it, onTestFinished } from 'vitest'
import { addressesOf, ask } from './asking.ts'
import { startResolver } from './start-resolver.ts'
import { type Asked, a, cname, startUpstream, type Upstream, withCode } from './upstream.ts'

const SERVFAIL = 2

const answerTo = ({ packet, name }: Asked, change: object = {}) => {
  const { id = 0, questions = [] } = packet
  return encode({ type: 'response', id, questions, answers: [a(name, '6.6.6.6')], ...change })
}

async function startSecond(answer: Upstream['answer']): Promise<Upstream> {
  const upstream = await startUpstream(answer)
  onTestFinished(() => upstream.close())
  return upstream
}

describe('an upstream that lies', () => {
  it.each<[string, (asked: Asked) => Buffer]>([
    ['with another id', (asked) => answerTo(asked, { id: ((asked.packet.id ?? 0) + 1) & 0xffff })],
    ['to another name', (asked) => answerTo(asked, { questions: [{ type: 'A', name: 'other.org' }] })],
    ['to another type', (asked) => answerTo(asked, { questions: [{ type: 'AAAA', name: asked.name }] })],
    ['to nothing', (asked) => answerTo(asked, { questions: [] })],
    ['by a question', (asked) => answerTo(asked, { type: 'query' })],
    ['by less than a header', () => Buffer.from([1, 2, 3])],
    ['by nothing at all', () => Buffer.alloc(0)],
  ])('%s is not heard: the true answer after it is', async (_, lie) => {
    const { port } = await startResolver((asked) => {
      asked.reply(lie(asked))
      setTimeout(() => asked.reply(answerTo(asked, { answers: [a(asked.name, '8.8.8.8')] })), 100)
      return undefined
    })
    expect(addressesOf(await ask(port, 'a.org'))).toEqual(['8.8.8.8'])
  })

  it('from another address or port is not heard', async () => {
    const stranger = createSocket('udp4')
    stranger.bind(0, '127.0.0.1')
    await once(stranger, 'listening')
    onTestFinished(() => void stranger.close())
    let from = 0
    const upstream = createSocket('udp4')
    upstream.bind(0, '127.0.0.1')
    await once(upstream, 'listening')
    onTestFinished(() => void upstream.close())
    const { port } = await startResolver(() => undefined, {
      upstreams: { servers: [`127.0.0.1:${upstream.address().port}`] },
    })
    upstream.on('message', (bytes, { port }) => {
      from = port
      const answer = (address: string) =>
        encode({
          type: 'response',
          id: bytes.readUInt16BE(0),
          questions: [{ type: 'A', name: 'a.org' }],
          answers: [a('a.org', address)],
        })
      stranger.send(answer('6.6.6.6'), port, '127.0.0.1', () =>
        setTimeout(() => upstream.send(answer('8.8.8.8'), port, '127.0.0.1'), 100),
      )
    })
    expect(addressesOf(await ask(port, 'a.org'))).toEqual(['8.8.8.8'])
    expect(from).toBeGreaterThan(0)
  })

  it('about other names beside the answer is not believed', async () => {
    const { port, upstream, admitted } = await startResolver(({ name }) => ({
      answers: [a(name, '8.8.8.8'), a('victim.org', '6.6.6.6'), cname('other.org', name)],
      additionals: [a('victim.org', '6.6.6.6')],
    }))
    await ask(port, 'a.org')
    upstream.answer = ({ name }) => [a(name, '9.9.9.9')]
    expect(addressesOf(await ask(port, 'victim.org'))).toEqual(['9.9.9.9'])
    expect(admitted).not.toContain('127.0.0.1 victim.org 6.6.6.6')
  })

  const hostile: [string, (asked: Asked) => Buffer][] = [
    [
      'of a name that points at itself',
      (asked) =>
        Buffer.concat([answerTo(asked, { answers: [] }).fill(1, 7, 8), Buffer.from([0xc0, 0x17, 0, 1])]),
    ],
    [
      'of pointers that point at pointers, thousands of times',
      (asked) => {
        const head = answerTo(asked, { answers: [] })
        // Each points at the one before it; the last names are as deep as they get.
        const chain = Buffer.alloc(14_000)
        for (let at = 0; at < chain.length; at += 2)
          chain.writeUInt16BE(0xc000 | Math.max(12, head.length + 11 + at - 2), at)
        const record = Buffer.from([0, 0, 10, 0, 1, 0, 0, 0, 0, chain.length >> 8, chain.length & 255])
        const many = Array.from({ length: 100 }, () =>
          Buffer.from([
            0xc0 | ((head.length + 13_990) >> 8),
            (head.length + 13_990) & 255,
            0,
            1,
            0,
            1,
            0,
            0,
            0,
            9,
            0,
            4,
            6,
            6,
            6,
            6,
          ]),
        )
        head.writeUInt16BE(101, 6)
        return Buffer.concat([head, record, chain, ...many])
      },
    ],
    ['of 65,535 records that are not there', (asked) => answerTo(asked).fill(255, 6, 12)],
    ['that ends in the middle', (asked) => answerTo(asked).subarray(0, -2)],
    ['of a refusal', (asked) => answerTo(asked, withCode(5))],
    ['of a failure', (asked) => answerTo(asked, withCode(2))],
  ]

  it.each(hostile)('by an answer %s is a failure at once, and the next one is asked', async (_, lie) => {
    const second = await startSecond(({ name }) => [a(name, '8.8.8.8')])
    const liar = await startSecond(lie)
    const { port } = await startResolver(() => undefined, {
      upstreams: { servers: [liar.server, second.server] },
    })
    const started = performance.now()
    expect(addressesOf(await ask(port, 'a.org'))).toEqual(['8.8.8.8'])
    expect(performance.now() - started).toBeLessThan(1_000)
  })

  it.each(hostile)('by an answer %s is a failure for the pod where there is no other', async (_, lie) => {
    const { port, stats } = await startResolver(lie)
    expect(await ask(port, 'a.org')).toMatchObject({ code: SERVFAIL, answers: [] })
    expect(stats().failed).toBe(1)
  })

  it('by 64 kB over TCP is a failure, and nothing is kept of it', async () => {
    const { port, stats } = await startResolver((asked) =>
      asked.transport === 'udp'
        ? { flags: 0x200 }
        : answerTo(asked, {
            answers: Array.from({ length: 300 }, () => ({
              ...{ type: 'TXT', name: asked.name, ttl: 60, data: [Buffer.alloc(190)] },
            })),
          }),
    )
    expect(await ask(port, 'a.org', { type: 'TXT' })).toMatchObject({ code: SERVFAIL, answers: [] })
    expect(stats().cache.entries).toBe(0)
  })

  it('by hundreds of addresses opens the way to some', async () => {
    const { port, admitted } = await startResolver(({ name, transport }) =>
      transport === 'udp'
        ? { flags: 0x200 }
        : Array.from({ length: 400 }, (_, at) => a(name, `8.8.${at >> 8}.${at & 255}`)),
    )
    await ask(port, 'a.org', { edns: 4_096 })
    expect(admitted.length).toBeLessThanOrEqual(64)
  })

  it('without end about something else is given up on', async () => {
    const { port } = await startResolver((asked) => {
      for (let at = 0; at < 40; at++)
        asked.reply(answerTo(asked, { id: ((asked.packet.id ?? 0) + 1) & 0xffff }))
      return undefined
    })
    expect((await ask(port, 'a.org')).code).toBe(SERVFAIL)
  })
})

describe('an upstream that is not there', () => {
  it('is gone past at once where the kernel says so', async () => {
    const { port } = await startResolver(() => undefined, {
      upstreams: { servers: ['127.0.0.1:1', (await startSecond(({ name }) => [a(name, '8.8.8.8')])).server] },
    })
    const started = performance.now()
    expect(addressesOf(await ask(port, 'a.org'))).toEqual(['8.8.8.8'])
    expect(performance.now() - started).toBeLessThan(1_000)
  })

  it('that says nothing is waited for once, and asked last from then on', async () => {
    const second = await startSecond(({ name }) => [a(name, '8.8.8.8')])
    const silent = await startSecond(() => undefined)
    const { port } = await startResolver(() => undefined, {
      upstreams: { servers: [silent.server, second.server] },
    })
    for (const name of ['a.org', 'b.org', 'c.org'])
      expect(addressesOf(await ask(port, name))).toEqual(['8.8.8.8'])
    expect(silent.asked).toEqual(['udp A a.org'])
  })

  it('leaves the pod with a failure within the deadline, a second of which is not asked again', async () => {
    const { port, upstream } = await startResolver(() => undefined, { limits: { deadline: 1_000 } })
    const started = performance.now()
    expect((await ask(port, 'a.org')).code).toBe(SERVFAIL)
    // Clients wait for five.
    expect(performance.now() - started).toBeLessThan(3_000)
    const before = upstream.asked.length
    expect((await ask(port, 'a.org')).code).toBe(SERVFAIL)
    expect(upstream.asked.length).toBe(before)
  })

  it('that takes two seconds is heard all the same', async () => {
    const { port, upstream } = await startResolver(({ name, packet, reply, transport }) => {
      setTimeout(() => reply(answerTo({ name, packet, reply, transport, type: 'A' })), 2_000)
      return undefined
    })
    expect(addressesOf(await ask(port, 'a.org'))).toEqual(['6.6.6.6'])
    expect(upstream.asked.length).toBeGreaterThan(1)
  })

  it('is asked again when it is back', async () => {
    const { port, upstream } = await startResolver(() => undefined, { limits: { deadline: 500 } })
    expect((await ask(port, 'a.org')).code).toBe(SERVFAIL)
    upstream.answer = ({ name }) => [a(name, '8.8.8.8')]
    await expect
      .poll(async () => addressesOf(await ask(port, 'a.org')), { timeout: 10_000, interval: 300 })
      .toEqual(['8.8.8.8'])
  })

  it('over TCP is a failure within the deadline', async () => {
    const { port } = await startResolver(
      ({ transport }) => (transport === 'udp' ? { flags: 0x200 } : undefined),
      {
        limits: { deadline: 1_000 },
      },
    )
    expect((await ask(port, 'a.org')).code).toBe(SERVFAIL)
  })
})
