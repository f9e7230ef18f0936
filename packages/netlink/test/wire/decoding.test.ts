import { isIP } from 'node:net'
import fc from 'fast-check'
import { Address6 } from 'ip-address'
import { describe, expect, it } from 'vitest'
import { decodeConnection } from '../../src/netfilter/connection.ts'
import { decodeAddress } from '../../src/rtnetlink/address.ts'
import { decodeLink, encodeLink } from '../../src/rtnetlink/link.ts'
import { decodeNeighbour } from '../../src/rtnetlink/neighbour.ts'
import { decodeRoute } from '../../src/rtnetlink/route.ts'
import { decodeRule } from '../../src/rtnetlink/rule.ts'
import { decodeTc } from '../../src/rtnetlink/traffic-control.ts'
import { encodeAttributes } from '../../src/wire/attributes.ts'
import { AF_INET, AF_INET6, decodeIp, encodeIp, familyOf } from '../../src/wire/ip.ts'
import { decodeAcknowledgement, decodeMessages, encodeMessage } from '../../src/wire/message.ts'

const decoders = [
  decodeLink,
  decodeAddress,
  decodeRoute,
  decodeNeighbour,
  decodeRule,
  decodeTc,
  decodeConnection,
]

/** Decodes as everything; true when each either succeeded or failed with the typed error. */
function isSafe(datagram: Buffer): boolean {
  try {
    for (const message of decodeMessages(datagram)) {
      for (const decode of decoders) attempt(() => decode(message))
      for (const isDone of [true, false]) attempt(() => decodeAcknowledgement(message, isDone))
    }
  } catch (error) {
    if ((error as { code?: string }).code !== 'ERR_NETLINK_MALFORMED') throw error
  }
  return true
}

function attempt(decode: () => unknown) {
  try {
    decode()
  } catch (error) {
    if ((error as { code?: string }).code !== 'ERR_NETLINK_MALFORMED') throw error
  }
}

const tree: fc.Arbitrary<Buffer> = fc
  .array(
    fc.tuple(
      fc.nat(40),
      fc.oneof(
        fc.uint8Array({ maxLength: 40 }),
        fc.array(fc.tuple(fc.nat(40), fc.uint8Array({ maxLength: 24 }))),
      ),
    ),
    { maxLength: 12 },
  )
  .map((attributes) => encodeAttributes(attributes))

describe('decoders', () => {
  it('read random bytes or refuse them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => isSafe(Buffer.from(bytes))),
      { numRuns: 2000 },
    )
  })

  it('read well-formed attributes with any content, or refuse them', () => {
    const kinds = fc.constantFrom(16, 20, 24, 28, 32, 36, 44, 2, 3)
    fc.assert(
      fc.property(
        kinds,
        fc.nat(0xffff),
        fc.nat(20),
        fc.uint8Array({ minLength: 20, maxLength: 20 }),
        tree,
        (type, flags, header, start, attributes) =>
          isSafe(encodeMessage(type, flags, 1, Buffer.concat([start.subarray(0, header), attributes]))),
      ),
      { numRuns: 2000 },
    )
  })

  it('read a message with any of its bytes changed or cut off, or refuse it', () => {
    const link = encodeMessage(
      16,
      0,
      1,
      encodeLink({
        index: 3,
        attributes: [
          [3, Buffer.from('eth0\0')],
          [
            18,
            [
              [1, Buffer.from('vxlan')],
              [
                2,
                [
                  [1, Buffer.alloc(4)],
                  [2, Buffer.alloc(4)],
                ],
              ],
            ],
          ],
          [23, Buffer.alloc(200)],
        ],
      }),
    )
    fc.assert(
      fc.property(fc.nat(link.length - 1), fc.nat(255), fc.nat(link.length), (position, value, length) => {
        const mutated = Buffer.from(link)
        mutated[position] = value
        return isSafe(mutated.subarray(0, length)) && isSafe(mutated)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('IP addresses', () => {
  it.each([
    ['0.0.0.0', '00000000'],
    ['10.88.0.1', '0a580001'],
    ['::', '0'.repeat(32)],
    ['fd00::1', `fd${'0'.repeat(29)}1`],
    ['1::', `0001${'0'.repeat(28)}`],
    ['::ffff:10.0.0.1', `${'0'.repeat(20)}ffff0a000001`],
    ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
  ])('%s', (address, hex) => {
    expect(encodeIp(address).toString('hex')).toBe(hex)
    expect(decodeIp(Buffer.from(hex, 'hex'))).toBe(address)
  })

  it('are what Node takes for one, zones aside', () => {
    const parts = ['0', 'ffff', '12345', 'g', '1.2.3.4', '256.1.1.1', ':', '::', ':0:', '%eth0', '']
    const family = (text: string) => {
      try {
        return familyOf(text)
      } catch {
        return undefined
      }
    }
    const texts = fc.oneof(
      fc.ipV6(),
      fc.array(fc.constantFrom(...parts)).map((some) => some.join('')),
    )
    fc.assert(
      fc.property(texts, (text) => {
        const version = text.includes('%') ? 0 : isIP(text)
        expect(family(text)).toBe({ 0: undefined, 4: AF_INET, 6: AF_INET6 }[version])
      }),
      { numRuns: 5000 },
    )
  })

  it('are written as others write them, and read back', () => {
    const groups = fc.array(fc.oneof(fc.constant(0), fc.nat(0xffff)), { minLength: 8, maxLength: 8 })
    fc.assert(
      fc.property(groups, (words) => {
        const bytes = Buffer.alloc(16)
        for (const [index, word] of words.entries()) bytes.writeUInt16BE(word, 2 * index)
        const written = decodeIp(bytes)
        const other = new Address6(words.map((word) => word.toString(16)).join(':'))
        if (!written.includes('.')) expect(written).toBe(other.correctForm())
        expect(encodeIp(written)).toEqual(bytes)
        expect(encodeIp(other.canonicalForm())).toEqual(bytes)
      }),
    )
  })
})
