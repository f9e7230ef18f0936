import type { PolicyRule } from '@podwire/api'
import { expect, test } from 'vitest'
import { addressToNumber, numberToAddress } from '../../src/ipam/cidr.ts'
import { compilePolicy } from '../../src/policy/compile.ts'
import { passes, type Tried } from '../../src/policy/connections.ts'

const nobody = { has: () => false, isHost: () => false }

// The same numbers each time.
let seed = 1
const random = (below: number) => {
  seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
  return seed % below
}
const oneOf = <T>(all: readonly T[]) => all[random(all.length)]!

function randomRule(): PolicyRule {
  const ports = oneOf([undefined, [80], [443, '8000-8100'], ['1-65535'], ['79-81']])
  return {
    ...(random(4) === 0
      ? {}
      : { cidr: `10.0.${random(4)}.${random(256)}/${oneOf([22, 24, 25, 28, 31, 32])}` }),
    ...(ports ? { ports } : {}),
    ...(random(3) === 0 ? { protocol: oneOf(['tcp', 'udp', 'sctp'] as const) } : {}),
  }
}

/** What a rule says, read as a person would. */
function isAbout({ cidr = '0.0.0.0/0', ports, protocol }: PolicyRule, tried: Tried): boolean {
  const [network = '', length = ''] = cidr.split('/')
  const shift = BigInt(32 - Number(length))
  const number = { tcp: 6, udp: 17, sctp: 132, icmp: 1 }
  return (
    addressToNumber(network) >> shift === addressToNumber(tried.address) >> shift &&
    (protocol ? number[protocol] === tried.protocol : !ports || [6, 17].includes(tried.protocol)) &&
    (!ports ||
      ports.some((port) => {
        const [first, last = first] = String(port).split('-').map(Number)
        return first! <= tried.port! && tried.port! <= last!
      }))
  )
}

test('a packet is in the boxes exactly when a rule allows it and none denies it, and the boxes share none', () => {
  for (let round = 0; round < 60; round++) {
    const rules = () => Array.from({ length: random(6) }, randomRule)
    const isOpen = random(2) === 0
    const [allow, deny] = [isOpen ? [] : rules(), rules()]
    const side = { default: isOpen ? ('allow' as const) : ('deny' as const), allow, deny }
    const compiled = compilePolicy({ egress: side })
    for (let packet = 0; packet < 200; packet++) {
      const tried: Tried = {
        direction: 'egress',
        address: `10.0.${random(5)}.${random(256)}`,
        protocol: oneOf([1, 6, 17, 47, 132]),
        port: oneOf([1, 79, 80, 81, 443, 8000, 8050, 8101]),
        isPublished: false,
      }
      const isAllowed = isOpen || allow.some((rule) => isAbout(rule, tried))
      const expected = isAllowed && !deny.some((rule) => isAbout(rule, tried))
      expect(passes(compiled, tried, nobody), JSON.stringify({ side, tried })).toBe(expected)
    }
    const boxes = compiled.egress!.boxes[4]
    for (const [index, a] of boxes.entries())
      for (const b of boxes.slice(index + 1)) {
        const isApart = (x: readonly [unknown, unknown], y: readonly [unknown, unknown]) =>
          x[1]! < y[0]! || y[1]! < x[0]!
        expect(
          isApart([a.first, a.last], [b.first, b.last]) ||
            isApart(a.protocols, b.protocols) ||
            isApart(a.ports, b.ports),
        ).toBe(true)
      }
  }
})

test('10,000 rules are compiled in little time, and one look-up still says all', () => {
  const allow = Array.from({ length: 10_000 }, (_, n) => ({
    cidr: `${numberToAddress(BigInt(0x0a000000 + n * 512), 4)}/24`,
    ports: [1 + (n % 50)],
  }))
  const started = performance.now()
  const { egress } = compilePolicy({ egress: { default: 'deny', allow } })
  expect(egress!.boxes[4]).toHaveLength(20_000)
  expect(performance.now() - started).toBeLessThan(20_000)
})

test('overlapping networks and nested ones come to as few boxes as there are differences', () => {
  const allow = [{ cidr: '10.0.0.0/8' }, { cidr: '10.1.0.0/16' }, { cidr: '11.0.0.0/8' }]
  const { egress } = compilePolicy({ egress: { default: 'deny', allow } })
  expect(egress!.boxes[4].map(({ first, last }) => [first, last])).toEqual([[0x0a000000n, 0x0bffffffn]])
  expect(egress!.boxes[6]).toEqual([])
})
