import { connect } from 'node:net'
import { Writable } from 'node:stream'
import { isIsolated } from '@podwire/testing'
import { describe, expect, test } from 'vitest'
import { createEventLog } from '../src/events/event-log.ts'
import { sendEvents } from '../src/events/send-events.ts'
import { afterThis, startTestDaemon, until } from './daemon.ts'

const idsIn = (text: string) => [...text.matchAll(/^id: (\S+)$/gm)].map(([, id = '']) => id)
const eventsIn = (text: string) => [...text.matchAll(/^event: (\S+)$/gm)].map(([, event = '']) => event)

describe.skipIf(!isIsolated())('the events of a daemon', () => {
  test('are told as they happen, and again from where a client was', async () => {
    const { ask, daemon } = await startTestDaemon()
    const follower = connect(daemon.socket)
    afterThis(() => follower.destroy())
    let text = ''
    follower.on('data', (chunk) => (text += chunk))
    follower.write('GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n')
    await until(() => text.includes('event: open'))
    await ask('PUT', '/v1/pods/default/web', {})
    await until(() => text.includes('event: pod:setup:done'))
    expect(eventsIn(text)).toEqual(['open', 'pod:setup:start', 'pod:setup:done'])
    expect(text).toMatch(/"payload":{"plugin":"odd","pod":{"namespace":"default","name":"web"/)

    const [, first = ''] = idsIn(text)
    await ask('DELETE', '/v1/pods/default/web')
    const headers = { 'last-event-id': first }
    const resumed = await ask('GET', '/v1/events?until=now', undefined, { headers })
    expect(eventsIn(resumed.text)).toEqual([
      'open',
      'pod:setup:done',
      'pod:teardown:start',
      'pod:teardown:done',
    ])
  })

  test('of one that was started anew are told as dropped, and then from its start', async () => {
    const { ask } = await startTestDaemon()
    const headers = { 'last-event-id': '00000000-7' }
    const { text } = await ask('GET', '/v1/events?until=now', undefined, { headers })
    expect(eventsIn(text)).toEqual(['open', 'events:dropped', 'plugin:ready'])
  })

  test('an answer names the last event before it', async () => {
    const { ask } = await startTestDaemon()
    const { headers } = await ask('PUT', '/v1/pods/default/web', {})
    const { text } = await ask('GET', '/v1/events?from=start&until=now')
    expect(headers['podwire-event']).toBe(idsIn(text).at(-1))
  })

  test('a client too many is refused, those there are go on', async () => {
    const { ask, daemon } = await startTestDaemon()
    const sockets = Array.from({ length: 300 }, () => connect(daemon.socket))
    afterThis(() => sockets.forEach((one) => void one.destroy()))
    for (const socket of sockets) {
      socket.on('error', () => {})
      socket.write('GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n')
    }
    await until(async () => (await ask('GET', '/v1/events')).status === 503)
    expect((await ask('PUT', '/v1/pods/default/web', {})).status).toBe(200)
  })
})

/** A client that takes nothing until it is told to. */
function slowClient() {
  let text = ''
  let open = () => {}
  const to = new Writable({
    highWaterMark: 1_000,
    write: (chunk, _encoding, done) => {
      text += chunk
      open = done
    },
  })
  return { to, text: () => text, read: () => open() }
}

describe('a log of events', () => {
  test('keeps a number of them, and a number of bytes', () => {
    const few = createEventLog({ events: 3, bytes: 1e6 })
    for (let i = 0; i < 10; i++) few.append('e', i)
    expect([few.oldest, few.last]).toEqual([8, 10])
    const small = createEventLog({ events: 1e6, bytes: 10_000 })
    for (let i = 0; i < 1_000; i++) small.append('e', 'x'.repeat(1_000))
    expect(small.last - small.oldest).toBeLessThan(10)
    small.append('large', 'x'.repeat(100_000))
    expect(small.at(small.last).length).toBeLessThan(1_000)
  })

  test('queues nothing for a client that is slow, and tells it how much it missed', async () => {
    const log = createEventLog({ events: 10, bytes: 1e6 })
    const client = slowClient()
    sendEvents(log, client.to, { fromStart: false, untilNow: false })
    for (let i = 0; i < 1_000; i++) log.append('e', { i, padding: 'x'.repeat(100) })
    expect(client.to.writableLength).toBeLessThan(2_000)
    await until(() => {
      client.read()
      return client.text().includes('"i":999')
    })
    const missed = [...client.text().matchAll(/"missed":(\d+)/g)].reduce((sum, [, n]) => sum + Number(n), 0)
    const got = eventsIn(client.text()).filter((name) => name === 'e').length
    expect(got).toBeGreaterThan(9)
    expect(missed + got).toBe(1_000)
  })

  test('holds what a plugin reports that JSON does not', () => {
    const log = createEventLog({ events: 10, bytes: 1e6 })
    const round: Record<string, unknown> = {}
    round['round'] = round
    log.append('e', round)
    log.append('e', { big: 7n, error: new Error('lost\nline') })
    expect(log.at(1)).toContain('"payload":null')
    expect(log.at(2).split('\n')).toHaveLength(5)
  })
})
