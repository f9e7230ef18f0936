import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  chainAttributes,
  elementListAttributes,
  ruleAttributes,
  setAttributes,
  tableAttributes,
} from '../../src/nftables/attributes.ts'
import { expression } from '../../src/nftables/expressions.ts'
import * as nft from '../../src/nftables/index.ts'
import type { Attribute } from '../../src/transport.ts'
import { encodeAttributes } from '../../src/wire/attributes.ts'
import { be16, u8 } from '../../src/wire/bytes.ts'

const layouts = [tableAttributes, chainAttributes, ruleAttributes, setAttributes, elementListAttributes]
const t = { family: 'inet', table: 't' } as const
const chain = { ...t, chain: 'c' }
const scope = { index: () => 0, netnsFd: () => 0 }

const roundTrip = (value: nft.Expression) =>
  expression.decode(encodeAttributes(expression.encode(value, 'expression') as Attribute[])) // an expression is always nested

describe('expressions', () => {
  it('are written as linux/netfilter/nf_tables.h says', () => {
    const bytes = (value: nft.Expression) =>
      encodeAttributes(expression.encode(value, 'expression') as Attribute[]).toString('hex')
    // Each attribute: length and type in the machine's byte order, then its value; numbers in network order.
    const meta = '09000100' + '6d65746100000000'
    expect(bytes(nft.meta('iifname'))).toBe(
      `${meta}14000280${'08000100' + '00000008'}${'08000200' + '00000006'}`,
    )
    const immediate = '0e000100' + '696d6d6564696174' + '65000000'
    const verdict = '10000280' + '0c000280' + '08000100' + '00000000'
    expect(bytes(nft.drop)).toBe(`${immediate}1c000280${'08000100' + '00000000'}${verdict}`)
  })

  it.each<nft.Expression>([
    nft.payload(nft.header.ip6.daddr, 3),
    nft.compare('<=', be16(80), 15),
    nft.mapped('m', 2, 5),
    nft.verdict({ goto: 'elsewhere' }),
    nft.verdict('return'),
    nft.updateSet('s', { op: 'add', timeout: 2 ** 40, each: [nft.counter, nft.limit({ rate: 1 })] }),
    nft.hashOf(5, { length: 12, modulus: 32, into: 4 }),
    nft.ctOriginal('dport', 7),
    nft.updateSet('s', { op: 'add', each: [nft.connectionLimit({ count: 7, over: true })] }),
    nft.log({ group: 65_535, prefix: 'p', length: 1 }),
    nft.limit({ rate: 1e9, unit: 'bytes', over: true }),
    nft.fib('oif', ['saddr', 'iif']),
    { other: { name: 'quota', data: Buffer.from([8, 0, 1, 0, 1, 2, 3, 4]) } },
  ])('are read back as they were written: %j', (value) => {
    const [name] = Object.keys(value)
    const plain = JSON.parse(JSON.stringify(value))
    expect(JSON.parse(JSON.stringify(roundTrip(value)))).toMatchObject({ [name!]: plain[name!] })
  })

  it('are read by the older numbers of registers too', () => {
    const cmp = (register: number) =>
      expression.decode(
        encodeAttributes([
          [1, Buffer.from('cmp\0')],
          [2, [[1, Buffer.of(0, 0, 0, register)]]],
        ]),
      )
    expect([1, 2, 4, 8, 23].map(cmp)).toEqual([0, 4, 12, 0, 15].map((register) => ({ cmp: { register } })))
  })
})

describe('bad input', () => {
  const body = (change: nft.Change | undefined) => change!.body(scope)
  // What a program without types may hand over.
  const untyped = (value: unknown) => value as never
  it.each<[string, () => nft.Change | undefined]>([
    ['a table without a name', () => nft.tables.add({ ...t, table: '' })],
    ['a name with NUL', () => nft.tables.add({ ...t, table: 'a\0b' })],
    ['a comment that is too long', () => nft.tables.add(t, { comment: 'x'.repeat(128) })],
    ['a comment beside user data', () => nft.tables.add(t, { comment: 'x', userData: u8(1) })],
    ['a flag nobody knows', () => nft.tables.add(t, { flags: untyped(['sleepy']) })],
    [
      'a hook that the family has not',
      () => nft.chains.add(chain, { base: { type: 'filter', hook: 'egress', priority: 0 } }),
    ],
    [
      'a priority that is not a number',
      () => nft.chains.add(chain, { base: { type: 'filter', hook: 'input', priority: Number.NaN } }),
    ],
    ['a register beyond the last', () => nft.rules.add(chain, [nft.meta('mark', 16)])],
    ['an expression nobody knows', () => nft.rules.add(chain, [untyped({ wish: {} })])],
    ['a key of meta nobody knows', () => nft.rules.add(chain, [nft.meta(untyped('colour'))])],
    ['a verdict nobody knows', () => nft.rules.add(chain, [nft.verdict(untyped('perhaps'))])],
    ['a group beyond the last', () => nft.rules.add(chain, [nft.log({ group: 65_536 })])],
    ['a link name that is too long', () => nft.rules.add(chain, [nft.equals(nft.linkName('x'.repeat(16)))])],
    ['a timeout below zero', () => nft.elements.add({ ...t, set: 's' }, [{ key: u8(1), timeout: -1 }])[0]],
    [
      'a range that runs backwards',
      () => nft.elements.add({ ...t, set: 's' }, nft.elements.range(u8(2), u8(1)))[0],
    ],
    ['a type nobody knows', () => nft.sets.add({ ...t, set: 's' }, { key: untyped('colour') })],
    [
      'an element beyond what an attribute holds',
      () => nft.elements.add({ ...t, set: 's' }, [{ key: Buffer.alloc(70_000) }])[0],
    ],
  ])('%s is refused', (_, make) => {
    expect(() => body(make())).toThrow(
      expect.objectContaining({ name: 'NetlinkError', code: 'ERR_NETLINK_ARGUMENT' }),
    )
  })

  it('of the kernel is read or refused', () => {
    const isSafe = (bytes: Uint8Array) => {
      for (const layout of layouts)
        try {
          layout.decode(Buffer.from(bytes))
        } catch (error) {
          if ((error as { code?: string }).code !== 'ERR_NETLINK_MALFORMED') throw error
        }
      return true
    }
    const tree = fc.letrec<{ node: [number, Uint8Array | [number, unknown][]] }>((tie) => ({
      node: fc.tuple(
        fc.nat(20),
        fc.oneof(
          { depthSize: 'small' },
          fc.uint8Array({ maxLength: 40 }),
          fc.array(tie('node'), { maxLength: 5 }),
        ),
      ) as fc.Arbitrary<[number, Uint8Array | [number, unknown][]]>, // what letrec ties is a node again
    }))
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), isSafe), { numRuns: 1000 })
    fc.assert(
      fc.property(fc.array(tree.node, { maxLength: 8 }), (nodes) =>
        isSafe(encodeAttributes(nodes as Attribute[])),
      ),
      { numRuns: 1000 },
    )
  })
})

describe('ranges', () => {
  it('end before the key after the last; the last key of all has none after it', () => {
    expect(nft.elements.range(Buffer.of(10, 0), Buffer.of(10, 255))).toEqual([
      { key: Buffer.of(10, 0) },
      { key: Uint8Array.of(11, 0), intervalEnd: true },
    ])
    expect(nft.elements.range(Buffer.of(255, 0), Buffer.of(255, 255))).toEqual([{ key: Buffer.of(255, 0) }])
  })
})
