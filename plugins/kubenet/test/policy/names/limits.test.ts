import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { addressesOf, ask, askOverTcp, question, send } from './asking.ts'
import { startResolver } from './start-resolver.ts'
import { a } from './upstream.ts'

const SERVFAIL = 2

const framed = (bytes: Buffer) => Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes])

async function connected(port: number, from = '127.0.0.1'): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', localAddress: from })
  socket.on('error', () => undefined)
  socket.resume()
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  return socket
}

/** `once` would take a reset for a failure. */
const closed = (socket: Socket) =>
  new Promise<void>((resolve) => (socket.closed ? resolve() : socket.once('close', () => resolve())))

describe('a pod that asks too much', () => {
  it('gets no answer beyond its rate, is told of once, and has it back with time', async () => {
    const { port, refusals, stats } = await startResolver(({ name }) => [a(name, '8.8.8.8')], {
      limits: { questionsPerSecond: 2, questionsAtOnce: 5 },
    })
    for (let at = 0; at < 5; at++) await ask(port, 'a.org')
    const more = await Promise.all(Array.from({ length: 5 }, () => send(port, question('a.org'), 300)))
    expect(more.filter((heard) => heard === undefined).length).toBeGreaterThanOrEqual(3)
    expect(refusals.filter(({ reason }) => reason === 'limit')).toHaveLength(1)
    expect(stats().overLimit).toBeGreaterThanOrEqual(3)
    await expect.poll(() => send(port, question('a.org'), 500), { timeout: 10_000 }).toBeDefined()
  })

  it('takes nothing from another one', async () => {
    const { port } = await startResolver(({ name }) => [a(name, '8.8.8.8')], {
      limits: { questionsPerSecond: 0.001, questionsAtOnce: 1 },
    })
    await ask(port, 'a.org', { from: '127.0.0.2' })
    expect(await send(port, question('a.org'), 300, '127.0.0.2')).toBeUndefined()
    expect(addressesOf(await ask(port, 'a.org', { from: '127.0.0.3' }))).toEqual(['8.8.8.8'])
  })

  it('gets no more data out in names than the limit says, and what is in the cache is free', async () => {
    const { port, upstream, refusals } = await startResolver(({ name }) => [a(name, '8.8.8.8')], {
      limits: { nameBytesPerSecond: 1, nameBytesAtOnce: 500 },
    })
    const codes: number[] = []
    for (let at = 0; at < 20; at++) codes.push((await ask(port, `${'x'.repeat(40)}${at}.tunnel.org`)).code)
    const out = upstream.asked.reduce((sum, asked) => sum + asked.split(' ')[2]!.length, 0)
    expect(out).toBeLessThanOrEqual(520)
    expect(codes.filter((code) => code === SERVFAIL).length).toBeGreaterThan(5)
    expect(refusals).toMatchObject([{ reason: 'limit', source: '127.0.0.1' }])
    expect(addressesOf(await ask(port, `${'x'.repeat(40)}0.tunnel.org`))).toEqual(['8.8.8.8'])
  })

  it('has no more questions waiting than the limit says', async () => {
    const { port, stats } = await startResolver(() => undefined, {
      limits: { waitingPerPod: 3, deadline: 1_000 },
    })
    const asked = Array.from({ length: 10 }, (_, at) => ask(port, `n${at}.org`))
    await expect.poll(() => stats().waiting).toBe(3)
    for (const { code } of await Promise.all(asked)) expect(code).toBe(SERVFAIL)
    expect(stats()).toMatchObject({ overLimit: 7, waiting: 0 })
  })

  it('has no more waiting with all others than the limit says', async () => {
    const { port, stats } = await startResolver(() => undefined, { limits: { waiting: 3, deadline: 1_000 } })
    const asked = Array.from({ length: 10 }, (_, at) =>
      ask(port, `n${at}.org`, { from: `127.0.0.${at + 2}` }),
    )
    await expect.poll(() => stats().waiting).toBe(3)
    for (const { code } of await Promise.all(asked)) expect(code).toBe(SERVFAIL)
    expect(stats().waiting).toBe(0)
  })
})

describe('connections', () => {
  const answering = ({ name }: { name: string }) => [a(name, '8.8.8.8')]

  it('are as many as the limit says: of a pod, of all', async () => {
    const { port, stats } = await startResolver(answering, {
      limits: { connectionsPerPod: 2, connections: 3 },
    })
    await connected(port, '127.0.0.2')
    await connected(port, '127.0.0.2')
    const third = await connected(port, '127.0.0.2')
    await closed(third)
    await connected(port, '127.0.0.3')
    const fifth = await connected(port, '127.0.0.4')
    await closed(fifth)
    expect(stats().connections).toBe(3)
  })

  it('that are idle are closed, and so are those that send a byte now and then', async () => {
    const { port } = await startResolver(answering, { limits: { idle: 500 } })
    const [idle, slow] = [await connected(port), await connected(port)]
    // A question of 200 bytes, which takes twenty seconds so.
    slow.write(Buffer.from([0, 200]))
    const sending = setInterval(() => slow.writable && slow.write(Buffer.from([0])), 100)
    onTestFinished(() => clearInterval(sending))
    const started = performance.now()
    await Promise.all([idle, slow].map(closed))
    expect(performance.now() - started).toBeLessThan(10_000)
  })

  it('carry many questions, answered as they can be', async () => {
    const { port } = await startResolver(async ({ name }) => {
      if (name.startsWith('slow')) await sleep(300)
      return [a(name, '8.8.8.8')]
    })
    const socket = connect(port, '127.0.0.1')
    onTestFinished(() => void socket.destroy())
    const names = ['slow.org', ...Array.from({ length: 39 }, (_, at) => `n${at}.org`)]
    const all = Buffer.concat(names.map((name) => framed(question(name))))
    // Cut anywhere.
    for (let at = 0; at < all.length; at += 7) socket.write(all.subarray(at, at + 7))
    let received = Buffer.alloc(0)
    let answers = 0
    for await (const chunk of socket) {
      received = Buffer.concat([received, chunk])
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        answers++
        received = received.subarray(2 + received.readUInt16BE(0))
      }
      if (answers === names.length) break
    }
    expect(answers).toBe(names.length)
  })

  it('that announce more than a question are cut off', async () => {
    const { port } = await startResolver(answering)
    const socket = await connected(port)
    socket.write(Buffer.from([0xff, 0xff, 0]))
    await closed(socket)
    expect(addressesOf(await askOverTcp(port, 'a.org'))).toEqual(['8.8.8.8'])
  })

  it('end with the resolver, which may be closed twice', async () => {
    const { port, close } = await startResolver(() => undefined)
    const socket = await connected(port)
    socket.write(framed(question('a.org')))
    await Promise.all([close(), close()])
    await close()
    await closed(socket)
    expect(await send(port, question('a.org'), 300)).toBeUndefined()
  })
})
