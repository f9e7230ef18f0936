import {
  CniError,
  compareVersions,
  parseNetworkConfig,
  parseNetworkConfigList,
  toNetworkConfigList,
} from '@podwire/libcni'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

const list = (fields: object) => JSON.stringify({ name: 'net1', plugins: [{ type: 'x' }], ...fields })

describe('a list', () => {
  const good: [string, fields: object, expected: object][] = [
    ['has its name', {}, { name: 'net1' }],
    ['is of 0.1.0 without a version', {}, { cniVersion: '0.1.0' }],
    ['is of 0.1.0 with an empty version', { cniVersion: '' }, { cniVersion: '0.1.0' }],
    ['has its version', { cniVersion: '0.4.0' }, { cniVersion: '0.4.0' }],
    ['keeps a version too new that stands alone', { cniVersion: '9.0.0' }, { cniVersion: '9.0.0' }],
    [
      'takes the highest of cniVersions',
      { cniVersions: ['0.3.1', '1.0.0', '0.4.0'] },
      { cniVersion: '1.0.0' },
    ],
    ['takes cniVersion among them', { cniVersion: '1.1.0', cniVersions: ['0.3.1'] }, { cniVersion: '1.1.0' }],
    [
      'takes cniVersions over an older one',
      { cniVersion: '0.3.1', cniVersions: ['1.0.0'] },
      { cniVersion: '1.0.0' },
    ],
    [
      'skips what is too new',
      { cniVersion: '1.0.0', cniVersions: ['2.0.0', '1.2.0'] },
      { cniVersion: '1.0.0' },
    ],
    ['sorts by number', { cniVersions: ['0.10.0', '0.4.0'] }, { cniVersion: '0.4.0' }],
    [
      'takes an empty cniVersions for none',
      { cniVersion: '0.4.0', cniVersions: [] },
      { cniVersion: '0.4.0' },
    ],
    [
      'takes null for absent',
      { cniVersion: null, cniVersions: null, disableCheck: null },
      { cniVersion: '0.1.0', disableCheck: false },
    ],
    ['checks and collects by default', {}, { disableCheck: false, disableGC: false }],
    ['takes a boolean', { disableCheck: true, disableGC: true }, { disableCheck: true, disableGC: true }],
    ['takes a word', { disableCheck: 'true', disableGC: 'false' }, { disableCheck: true, disableGC: false }],
    ['takes a word in capitals', { disableGC: 'TRUE' }, { disableGC: true }],
    ['may be of inlined plugins only', { loadOnlyInlinedPlugins: true }, { name: 'net1' }],
    [
      'has capabilities',
      { plugins: [{ type: 'x', capabilities: { a: true, b: false } }] },
      {
        plugins: [
          expect.objectContaining({
            type: 'x',
            capabilities: new Map([
              ['a', true],
              ['b', false],
            ]),
          }),
        ],
      },
    ],
    ['has a name with dots and dashes', { name: 'a.b-c_D' }, { name: 'a.b-c_D' }],
  ]
  it.each(good)('%s', (_, fields, expected) => {
    expect(parseNetworkConfigList(list(fields))).toMatchObject(expected)
  })

  const bad: [string, fields: object, message: string][] = [
    ['no name', { name: undefined }, 'no name'],
    ['a name that is a number', { name: 1 }, 'invalid name type: a number'],
    ['an empty name', { name: '' }, 'missing network name'],
    ['a name with /', { name: '../x' }, 'invalid characters found in network name'],
    ['a name with a space', { name: 'a b' }, 'invalid characters found in network name'],
    ['a name with a dash first', { name: '-a' }, 'invalid characters found in network name'],
    ['no plugins', { plugins: [] }, 'no plugins in list'],
    ['no plugins at all', { plugins: undefined }, 'no plugin configs found'],
    [
      'only inlined plugins without any',
      { plugins: undefined, loadOnlyInlinedPlugins: true },
      "no 'plugins' key",
    ],
    ['plugins that are an object', { plugins: {} }, "invalid 'plugins' type: an object"],
    ['a plugin that is a string', { plugins: ['x'] }, 'plugin 0 is a string'],
    ['a plugin that is null', { plugins: [{ type: 'x' }, null] }, 'plugin 1 is null'],
    ['a plugin without a type', { plugins: [{ type: 'x' }, {}] }, "plugin 1: missing 'type'"],
    ['a plugin with an empty type', { plugins: [{ type: '' }] }, "missing 'type'"],
    ['a type that is a number', { plugins: [{ type: 7 }] }, "'type' is a number"],
    [
      'capabilities that are a list',
      { plugins: [{ type: 'x', capabilities: [] }] },
      "'capabilities' is an array",
    ],
    [
      'a capability that is a word',
      { plugins: [{ type: 'x', capabilities: { a: 'yes' } }] },
      'capability "a" is a string',
    ],
    ['disableCheck that is a number', { disableCheck: 1 }, 'invalid value 1 for disableCheck'],
    ['disableGC that is another word', { disableGC: 'yes' }, 'invalid value "yes" for disableGC'],
    [
      'loadOnlyInlinedPlugins that is a list',
      { loadOnlyInlinedPlugins: [] },
      'invalid value [] for loadOnlyInlinedPlugins',
    ],
    ['a version that is a number', { cniVersion: 1 }, 'invalid cniVersion type: a number'],
    ['a version of words', { cniVersion: 'new' }, 'invalid version "new"'],
    ['a version of four parts', { cniVersion: '1.0.0.0' }, 'invalid version "1.0.0.0"'],
    ['a version below zero', { cniVersion: '1.-1.0' }, 'invalid version'],
    ['cniVersions that are a string', { cniVersions: '1.0.0' }, 'invalid type for cniVersions: a string'],
    ['a number in cniVersions', { cniVersions: [1] }, 'invalid cniVersions entry 0 type: a number'],
    ['a word in cniVersions', { cniVersions: ['1.0.0', 'x'] }, 'invalid cniVersions entry 1'],
    ['a version that is huge', { cniVersions: [`1.${'9'.repeat(400)}`] }, 'invalid cniVersions entry 0'],
  ]
  it.each(bad)('with %s is refused', (_, fields, message) => {
    expect(() => parseNetworkConfigList(list(fields), 'f.conflist')).toThrow(
      expect.objectContaining({
        code: 'ERR_CNI_CONFIG',
        cniCode: 7,
        message: expect.stringContaining(message),
      }),
    )
    expect(() => parseNetworkConfigList(list(fields), 'f.conflist')).toThrow(/^error parsing f\.conflist: /)
  })

  it.each(['', ' ', '{', '[1', '[]', 'null', '1', '"x"', '{"a":1}{', `${'['.repeat(100_000)}`])(
    'is not %j',
    (text) => {
      expect(() => parseNetworkConfigList(text)).toThrow(
        expect.objectContaining({ code: 'ERR_CNI_JSON', cniCode: 6 }),
      )
    },
  )
})

describe('a single configuration', () => {
  it('is a list of one', () => {
    const single = parseNetworkConfig('{"name":"n","type":"x","cniVersions":["1.0.0"],"mtu":9}')
    const upconverted = toNetworkConfigList(single)
    expect(upconverted).toMatchObject({
      name: 'n',
      cniVersion: '1.0.0',
      plugins: [{ type: 'x', raw: { mtu: 9 } }],
    })
    expect(parseNetworkConfigList(JSON.stringify(upconverted.raw))).toMatchObject({
      name: 'n',
      cniVersion: '1.0.0',
    })
  })

  it.each([
    ['no type', '{"name":"n"}', "missing 'type'"],
    ['no name', '{"type":"x"}', 'no name'],
  ])('with %s is refused', (_, text, message) => {
    expect(() => parseNetworkConfig(text)).toThrow(message)
  })
})

it.each([
  ['1.0.0', '1.0.0', 0],
  ['1', '1.0.0', 0],
  ['1.1', '1.0.9', 1],
  ['0.9.0', '0.10.0', -1],
  ['', '0.1.0', 0],
  ['0.3.1', '0.3.0', 1],
])('version %j against %j', (a, b, sign) => {
  expect(Math.sign(compareVersions(a, b))).toBe(sign)
})

// Objects made of the words that the parser knows get further into it than any others.
const word = fc.constantFrom(
  'name',
  'cniVersion',
  'cniVersions',
  'plugins',
  'type',
  'capabilities',
  'disableCheck',
  '__proto__',
)
const value = fc.letrec((tie) => ({
  node: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom<unknown>('net1', '1.0.0', '', null, true, 0, 'true', 'bridge'),
    fc.array(tie('node'), { maxLength: 3 }),
    fc.dictionary(word, tie('node'), { maxKeys: 6 }),
  ),
})).node

it('40,000 inputs make the parsers throw nothing but typed errors', () => {
  const typed = (parse: () => unknown) => {
    try {
      parse()
    } catch (error) {
      if (!(error instanceof CniError)) throw error
      expect(error.message).not.toContain('\n')
    }
  }
  const parsers = [parseNetworkConfigList, parseNetworkConfig]
  const check = (text: string | Uint8Array) => {
    for (const parse of parsers) typed(() => parse(text))
  }
  fc.assert(fc.property(fc.string({ unit: 'binary' }), check), { numRuns: 7_000 })
  fc.assert(
    fc.property(
      value.map((json) => JSON.stringify(json)),
      check,
    ),
    { numRuns: 10_000 },
  )
  fc.assert(fc.property(fc.uint8Array(), check), { numRuns: 3_000 })
}, 300_000)

it.each(['1e999', '-1e999', '1e+0400', `1${'0'.repeat(400)}`])(
  'a number beyond the range of doubles is refused: %s',
  (number) => {
    const text = `{"name":"n","cniVersion":"1.0.0","plugins":[{"type":"x","deep":[{"y":${number}}]}]}`
    expect(() => parseNetworkConfigList(text)).toThrow(/the number at "y" is beyond the range of doubles/)
  },
)

it('a text that looks like such a number is kept', () => {
  const text = '{"name":"n","plugins":[{"type":"x","y":"1e999","z":1e-999,"e":12.5e200}]}'
  expect(parseNetworkConfigList(text).plugins[0]?.raw).toEqual({ type: 'x', y: '1e999', z: 0, e: 12.5e200 })
})
