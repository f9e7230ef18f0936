import { connect, type Socket } from 'node:net'
import { isIsolated } from '@podwire/testing'
import { describe, expect, test } from 'vitest'
import { limits } from '../src/http/server.ts'
import { afterThis, startTestDaemon, until } from './daemon.ts'

function opened(path: string): { socket: Socket; text: () => string; closed: () => boolean } {
  const socket = connect(path)
  let text = ''
  let closed = false
  socket.on('data', (chunk) => (text += chunk))
  socket.on('error', () => {})
  socket.on('close', () => (closed = true))
  afterThis(() => socket.destroy())
  return { socket, text: () => text, closed: () => closed }
}

describe.skipIf(!isIsolated())('a daemon', () => {
  test.each([
    ['what is not HTTP', '\0\x01\xff\n\n\r\n\r\n'],
    ['another protocol', 'SSH-2.0-OpenSSH_9\r\n'],
    ['two lengths', 'PUT /v1/pods/a/b HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n'],
    [
      'a length and chunks',
      'PUT /v1/pods/a/b HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    [
      'a header that is too large',
      `GET /v1/pods HTTP/1.1\r\nhost: x\r\nx: ${'x'.repeat(limits.headerBytes)}\r\n\r\n`,
    ],
    ['a line that never ends', `GET /${'x'.repeat(100_000)}`],
  ])('ends a connection that sends %s, and goes on', async (_what, text) => {
    const { ask, daemon } = await startTestDaemon()
    const client = opened(daemon.socket)
    client.socket.write(text)
    await until(client.closed)
    expect(client.text()).toMatch(/^HTTP\/1.1 4\d\d |^$/)
    expect((await ask('PUT', '/v1/pods/default/web', {})).status).toBe(200)
  })

  test('refuses a body that is too large', async () => {
    const { ask } = await startTestDaemon()
    const { status, body } = await ask('PUT', '/v1/pods/default/web', {
      annotations: { x: 'x'.repeat(limits.body) },
    })
    expect([status, body.error.code]).toEqual([400, 'INVALID_REQUEST'])
  })

  test('ends a connection whose request comes a byte at a time', async () => {
    const { ask, daemon } = await startTestDaemon()
    const clients = Array.from({ length: 20 }, () => opened(daemon.socket))
    const timer = setInterval(() => {
      for (const { socket } of clients) if (socket.writable) socket.write('x')
    }, 200)
    afterThis(() => clearInterval(timer))
    for (const { socket } of clients) socket.write('GET / HTTP/1.1\r\nx: ')
    expect((await ask('PUT', '/v1/pods/default/web', {})).status).toBe(200)
    await until(() => clients.every(({ closed }) => closed()))
  }, 60_000)

  test('answers beside 2,000 connections that say nothing', async () => {
    const { ask, daemon } = await startTestDaemon()
    const clients = []
    for (let i = 0; i < 2_000; i++) {
      clients.push(opened(daemon.socket))
      // The kernel's queue of connections is short.
      if (i % 100 === 99) expect((await ask('GET', '/v1/pods')).status).toBe(200)
    }
    expect((await ask('PUT', '/v1/pods/default/web', {})).status).toBe(200)
    expect(clients.filter(({ closed }) => closed()).length).toBeGreaterThan(500)
  })
})
