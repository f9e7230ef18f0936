import { encode } from 'dns-packet'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createFilter } from '../../../src/policy/names/filter.ts'
import { readAnswer } from '../../../src/policy/names/upstream-answer.ts'
import { encodeResponse, readQuery } from '../../../src/policy/names/wire.ts'
import { addressesOf, ask, question } from './asking.ts'
import { startResolver } from './start-resolver.ts'
import { a, aaaa, cname, soa } from './upstream.ts'

/** A sound message of which some bytes are others, some are missing, and some came twice. */
const damaged = (sound: Buffer) =>
  fc
    .tuple(
      fc.array(fc.tuple(fc.nat(sound.length - 1), fc.nat(255)), { maxLength: 8 }),
      fc.nat(sound.length),
      fc.uint8Array({ maxLength: 40 }),
    )
    .map(([changes, length, tail]) => {
      const bytes = Buffer.from(sound)
      for (const [at, value] of changes) bytes[at] = value
      return Buffer.concat([bytes.subarray(0, length), tail])
    })

const anyBytes = (sound: Buffer) =>
  fc.oneof(
    damaged(sound),
    fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.from(bytes)),
    // The header and the question as they should be, then anything.
    fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.concat([sound.subarray(0, 25), bytes])),
  )

const id = 4711
const answer = () =>
  encode({
    type: 'response',
    id,
    questions: [{ type: 'A', name: 'a.org' }],
    answers: [cname('a.org', 'b.org'), a('b.org', '8.8.8.8'), aaaa('b.org', '2606::1')],
    authorities: [soa('org', 30)],
  })

describe('whatever the bytes are', () => {
  it('of a question: it is read or not, and its answer is one that a client can read', () => {
    fc.assert(
      fc.property(anyBytes(question('a.example.org')), (bytes) => {
        const query = readQuery(bytes)
        if (!query) return
        const { bytes: sent } = encodeResponse(
          query,
          { rcode: query.problem ?? 3, reason: { code: 15, text: 'no' } },
          512,
        )
        expect(sent.readUInt16BE(0)).toBe(bytes.readUInt16BE(0))
        expect(sent.length).toBeLessThan(512)
        // Never an answer that would be answered.
        expect(readQuery(sent)).toBeUndefined()
      }),
      { numRuns: 3_000 },
    )
  })

  const types = [1, 2, 5, 6, 12, 15, 16, 28, 33, 35, 39, 43, 44, 48, 52, 64, 65, 99, 256, 257]
  it.each(types)('of an answer of type %i: it is read or not, in time', (type) => {
    const typed = answer()
    // The type of the question, and of the first record, whose data it then is.
    typed.writeUInt16BE(type, 12 + 7)
    const filter = createFilter()
    let longest = 0
    fc.assert(
      fc.property(anyBytes(typed), fc.uint8Array({ maxLength: 80 }), (bytes, data) => {
        const record = Buffer.concat([
          Buffer.from([0xc0, 0x0c, type >> 8, type & 255, 0, 1, 0, 0, 0, 60, 0, data.length]),
          data,
        ])
        const own = Buffer.concat([typed.subarray(0, 23), record])
        own.writeUInt32BE(1 << 16, 6)
        own.writeUInt16BE(0, 10)
        for (const message of [bytes, own]) {
          const started = performance.now()
          const reading = readAnswer(message, { name: 'a.org', type }, id)
          longest = Math.max(longest, performance.now() - started)
          if (typeof reading === 'string' || 'problem' in reading) continue
          const { records } = filter(
            reading.records,
            () => true,
            () => true,
          )
          const query = readQuery(question('a.org'))
          const { bytes: sent } = encodeResponse(query!, { rcode: 0, records }, 0xffff)
          expect(sent.length).toBeLessThan(20_000)
        }
      }),
      { numRuns: 400 },
    )
    expect(longest).toBeLessThan(500)
  })

  it('from pods and from upstreams at once: it answers a good question all the while', async () => {
    const sound = answer()
    const lies = fc.sample(anyBytes(sound), 150)
    const questions = fc.sample(anyBytes(question('a.org')), 150)
    const { port, upstream } = await startResolver(
      ({ name, packet }) => {
        if (name === 'good.org') return [a(name, '8.8.8.8')]
        const lie = Buffer.from(lies.pop() ?? sound)
        // As a guess that is right.
        if (lie.length >= 2) lie.writeUInt16BE(packet.id ?? 0, 0)
        return lie
      },
      { limits: { deadline: 200 } },
    )
    const { createSocket } = await import('node:dgram')
    const socket = createSocket('udp4')
    try {
      for (const [at, bytes] of questions.entries()) {
        socket.send(bytes, port, '127.0.0.1')
        socket.send(question(`n${at}.org`), port, '127.0.0.1')
        if (at % 30 === 0) expect(addressesOf(await ask(port, 'good.org'))).toEqual(['8.8.8.8'])
      }
      await expect.poll(() => upstream.asked.length, { timeout: 20_000 }).toBeGreaterThan(50)
      expect(addressesOf(await ask(port, 'good.org'))).toEqual(['8.8.8.8'])
    } finally {
      socket.close()
    }
  })
})
