import { expect, test } from 'vitest'
import { bandwidthOf, parseBandwidth } from '../src/index.ts'

test.each([
  ['1k', 1e3],
  ['1000', 1e3],
  ['512k', 512e3],
  ['10M', 10e6],
  ['1.5M', 1.5e6],
  ['.5M', 5e5],
  ['1.M', 1e6],
  ['2G', 2e9],
  ['1T', 1e12],
  ['1P', 1e15],
  ['1Ki', 1024],
  ['10Mi', 10 * 2 ** 20],
  ['1Gi', 2 ** 30],
  ['1e6', 1e6],
  ['1E6', 1e6],
  ['1000.5', 1001],
])('%s is %d bits per second', (quantity, bits) => {
  expect(parseBandwidth(quantity, 'test')).toBe(bits)
})

test.each([
  '',
  '0',
  '999',
  '1Pi',
  '1001T',
  '10X',
  '10K',
  '10m',
  '-10M',
  '10 M',
  ' 10M',
  '10M\n',
  '1e99',
  '1e-3',
  'M',
  '.',
  'Infinity',
  '10constructor',
  '10toString',
])('%j is refused by name', (quantity) => {
  expect(() => parseBandwidth(quantity, '--ingress')).toThrow(
    expect.objectContaining({
      code: 'INVALID_BANDWIDTH',
      exitCode: 2,
      message: expect.stringMatching(/^--ingress: ".*\n?" is not a bandwidth/),
    }),
  )
})

test('annotations ask for none, one or both directions', () => {
  expect(bandwidthOf({})).toEqual({})
  expect(bandwidthOf({ 'kubernetes.io/ingress-bandwidth': '10M' })).toEqual({ ingress: 10e6 })
  expect(
    bandwidthOf({ 'kubernetes.io/ingress-bandwidth': '1M', 'kubernetes.io/egress-bandwidth': '2M' }),
  ).toEqual({ ingress: 1e6, egress: 2e6 })
  expect(() => bandwidthOf({ 'kubernetes.io/egress-bandwidth': '10X' })).toThrow(
    'kubernetes.io/egress-bandwidth',
  )
})
