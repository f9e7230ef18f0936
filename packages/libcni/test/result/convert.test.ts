import {
  type AnyResult,
  CniError,
  cniVersions,
  convertResult,
  type Json,
  parseResult,
  type Result,
} from '@podwire/libcni'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

const full: Result = {
  cniVersion: '1.1.0',
  interfaces: [
    { name: 'cni0', mac: '00:11:22:33:44:55' },
    {
      name: 'eth0',
      mac: '00:11:22:33:44:66',
      sandbox: '/run/netns/x',
      mtu: 1400,
      socketPath: '/s',
      pciID: '8086:1',
    },
  ],
  ips: [
    { address: '10.1.0.5/16', gateway: '10.1.0.1', interface: 0 },
    { address: '2001:db8::5/64', gateway: '2001:db8::1', interface: 1 },
    { address: '10.2.0.5/16' },
  ],
  routes: [
    { dst: '0.0.0.0/0', gw: '10.1.0.1', mtu: 1300, advmss: 1200, priority: 0, table: 100, scope: 253 },
    { dst: '::/0' },
  ],
  dns: { nameservers: ['10.1.0.1'], domain: 'example.com', search: ['a', 'b'], options: ['ndots:5'] },
}
const basic = {
  interfaces: [
    { name: 'cni0', mac: '00:11:22:33:44:55' },
    { name: 'eth0', mac: '00:11:22:33:44:66', sandbox: '/run/netns/x' },
  ],
  routes: [{ dst: '0.0.0.0/0', gw: '10.1.0.1' }, { dst: '::/0' }],
  dns: full.dns!,
}
const oldest = {
  ip4: { ip: '10.1.0.5/16', gateway: '10.1.0.1', routes: [{ dst: '0.0.0.0/0', gw: '10.1.0.1' }] },
  ip6: { ip: '2001:db8::5/64', gateway: '2001:db8::1', routes: [{ dst: '::/0' }] },
  dns: full.dns!,
}
const versioned = full.ips!.map((ip, index) => ({ version: index === 1 ? '6' : '4', ...ip }))

describe('a result of 1.1.0 as', () => {
  it.each([
    ['0.1.0', oldest],
    ['0.2.0', oldest],
    ['0.3.0', { ...basic, ips: versioned }],
    ['0.3.1', { ...basic, ips: versioned }],
    ['0.4.0', { ...basic, ips: versioned }],
    ['1.0.0', { ...basic, ips: full.ips }],
    ['1.1.0', full],
  ] as const)('%s', (cniVersion, expected) => {
    expect(convertResult(full, cniVersion)).toEqual({ ...expected, cniVersion })
  })
})

describe('upwards', () => {
  it('from 0.2.0: an address a family, routes together', () => {
    expect(convertResult({ cniVersion: '0.2.0', ...oldest }, '1.0.0')).toEqual({
      cniVersion: '1.0.0',
      ips: [
        { address: '10.1.0.5/16', gateway: '10.1.0.1' },
        { address: '2001:db8::5/64', gateway: '2001:db8::1' },
      ],
      routes: basic.routes,
      dns: full.dns,
    })
  })
  it('from 0.4.0: no ips version', () => {
    const parsed = parseResult({ cniVersion: '0.4.0', ips: versioned as Json } as Json, '')
    expect(convertResult(parsed, '1.0.0')).toEqual({ cniVersion: '1.0.0', ips: full.ips })
  })
})

describe('what has no address', () => {
  it.each(['0.1.0', '0.2.0'] as const)('can not become %s', (version) => {
    expect(() => convertResult({ cniVersion: '1.0.0' }, version)).toThrow(
      'cannot convert: no valid IP addresses',
    )
  })
  it.each(['0.3.0', '0.3.1', '0.4.0'] as const)('becomes %s, with an empty dns', (cniVersion) => {
    expect(convertResult({ cniVersion: '1.1.0' }, cniVersion)).toEqual({ cniVersion, dns: {} })
  })
})

it('between versions of one form: nothing but the version changes', () => {
  const dns = { nameservers: ['10.0.0.1'] }
  expect(convertResult({ cniVersion: '0.2.0', dns }, '0.1.0')).toEqual({ cniVersion: '0.1.0', dns })
  const ips = [{ version: '4', address: 'fd00::1/64' }] as const
  expect(convertResult({ cniVersion: '0.3.0', ips, dns }, '0.4.0')).toEqual({
    cniVersion: '0.4.0',
    ips,
    dns,
  })
  expect(convertResult({ cniVersion: '0.4.0', ips, dns }, '0.3.1')).toEqual({
    cniVersion: '0.3.1',
    ips,
    dns,
  })
})

it('counts an IPv4 address spelt in IPv6 as IPv4', () => {
  expect(
    convertResult({ cniVersion: '1.0.0', ips: [{ address: '::ffff:10.0.0.1/104' }] }, '0.2.0'),
  ).toMatchObject({
    ip4: { ip: '::ffff:10.0.0.1/104' },
  })
})

it.each(['', '0.5.0', '1.2.0', 'x'])('knows no version %j', (version) => {
  expect(() => convertResult(full, version)).toThrow(`unsupported CNI result version "${version}"`)
})

// What every version can hold, and what each can hold besides.
const ip4 = fc.ipV4().map((address) => `${address}/24`)
const ip6 = fc
  .ipV6()
  .filter(
    (address) =>
      !/^\[::ffff:[^:]+:[^:]+\]$|^\[::[^:]+:[^:]+\]$/.test(new URL(`http://[${address}]`).hostname),
  )
  .map((address) => `${address}/64`)
const optional = <Value>(key: string, value: fc.Arbitrary<Value>) =>
  fc.option(value, { nil: undefined }).map((chosen) => (chosen === undefined ? {} : { [key]: chosen }))
const record = (...parts: fc.Arbitrary<object>[]) =>
  fc.tuple(...parts).map((all) => Object.assign({}, ...all))
const many = (key: string, item: fc.Arbitrary<unknown>) =>
  optional(key, fc.array(item, { minLength: 1, maxLength: 3 }))
const words = fc.string({ minLength: 1, maxLength: 5 })
const count = fc.nat(70_000)
const dns = optional(
  'dns',
  record(
    words.map((domain) => ({ domain })),
    many('nameservers', words),
    many('search', words),
    many('options', words),
  ),
)
const route = (...more: fc.Arbitrary<object>[]) =>
  record(
    fc.oneof(ip4, ip6).map((dst) => ({ dst })),
    optional('gw', fc.ipV4()),
    ...more,
  )
const iface = (...more: fc.Arbitrary<object>[]) =>
  record(
    words.map((name) => ({ name })),
    optional('mac', words),
    optional('sandbox', words),
    ...more,
  )
const ips = many(
  'ips',
  record(
    fc.oneof(ip4, ip6).map((address) => ({ address })),
    optional('gateway', fc.ipV4()),
    optional('interface', fc.nat(5)),
  ),
)
const result100: fc.Arbitrary<object> = record(many('interfaces', iface()), ips, many('routes', route()), dns)
const result110: fc.Arbitrary<object> = record(
  many('interfaces', iface(optional('mtu', count), optional('socketPath', words), optional('pciID', words))),
  ips,
  many(
    'routes',
    route(...['mtu', 'advmss', 'priority', 'table', 'scope'].map((key) => optional(key, count))),
  ),
  dns,
)
const read = (fields: object, cniVersion: string): AnyResult =>
  parseResult(JSON.parse(JSON.stringify({ ...fields, cniVersion })), '')

describe('down and up again', () => {
  it.each(['0.3.0', '0.3.1', '0.4.0', '1.0.0'] as const)('through %s keeps all of 1.0.0', (version) => {
    fc.assert(
      fc.property(result100, (fields) => {
        const result = read(fields, '1.0.0')
        expect(convertResult(convertResult(result, version), '1.0.0')).toEqual(result)
      }),
      { numRuns: 300 },
    )
  })

  it('a version never loses on its way down what it keeps on the way up', () => {
    fc.assert(
      fc.property(result110, fc.constantFrom(...cniVersions), (fields, version) => {
        const result = read(fields, '1.1.0')
        let down: AnyResult
        try {
          down = convertResult(result, version)
        } catch (error) {
          expect((error as Error).message).toBe('cannot convert: no valid IP addresses')
          return
        }
        // Once down, further trips change nothing, and printing it and reading it again neither.
        expect(convertResult(convertResult(down, '1.1.0'), version)).toEqual(down)
        expect(read(down, version)).toEqual(down)
      }),
      { numRuns: 1500 },
    )
  })
})

it('60,000 inputs make the parser throw nothing but typed errors', () => {
  const key = fc.constantFrom(
    'cniVersion',
    'ips',
    'ip4',
    'ip',
    'address',
    'interface',
    'interfaces',
    'routes',
    'dst',
    'gw',
    'dns',
    'name',
    '__proto__',
  )
  const { node } = fc.letrec((tie) => ({
    node: fc.oneof(
      { depthSize: 'small' },
      fc.constantFrom<unknown>(
        ...cniVersions,
        '10.0.0.1/24',
        '::1/64',
        '10.0.0.1',
        null,
        0,
        -1,
        1.5,
        '',
        true,
      ),
      fc.array(tie('node'), { maxLength: 3 }),
      fc.dictionary(key, tie('node'), { maxKeys: 6 }),
    ),
  }))
  const check = (value: unknown) => {
    try {
      const result = parseResult(value as Json, '1.0.0')
      for (const version of cniVersions) convertResult(result, version)
    } catch (error) {
      if (!(error instanceof CniError)) throw error
    }
  }
  fc.assert(fc.property(node, check), { numRuns: 20_000 })
  fc.assert(fc.property(fc.dictionary(key, node), check), { numRuns: 40_000 })
}, 300_000)

it.each(['::ffff:0:0/96', '::FFFF:0.0.0.0/96', '0:0:0:0:0:ffff:0:0/96'])(
  'IPv4 that IPv6 maps is IPv4, however it is spelt: %s',
  (dst) => {
    const mapped = { cniVersion: '1.0.0', ips: [{ address: '10.0.0.1/8' }], routes: [{ dst }] } as const
    expect(convertResult(mapped, '0.2.0')).toMatchObject({ ip4: { routes: [{ dst }] } })
    const hex = { cniVersion: '1.0.0', ips: [{ address: '::ffff:a00:1/104' }] } as const
    expect(convertResult(hex, '0.4.0').ips).toEqual([{ version: '4', address: '::ffff:a00:1/104' }])
  },
)

it('IPv6 that ends like a mapped address is IPv6', () => {
  const ips = ['::ffff:1:a00:1/64', 'fd00::ffff:a00:1/64', '::a00:1/64'].map((address) => ({ address }))
  const versions = convertResult({ cniVersion: '1.0.0', ips }, '0.4.0').ips?.map(({ version }) => version)
  expect(versions).toEqual(['6', '6', '6'])
})
