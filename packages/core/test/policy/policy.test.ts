import type { Policy } from '@podwire/api'
import { describe, expect, test } from 'vitest'
import { configJsonSchema } from '../../src/config/json-schema.ts'
import { parseConfig } from '../../src/config/parse.ts'
import { parsePolicy } from '../../src/policy/policy.ts'

const allowing = (...allow: unknown[]) => ({ egress: { default: 'deny', allow } })
const problemsOf = (policy: unknown) => parsePolicy(policy).problems.join('\n')

test('a policy is kept as it is compared: names in lower case, nothing that says nothing', () => {
  const written = {
    egress: {
      default: 'deny',
      allow: [{ host: 'Registry.NPMjs.org.' }, { host: '*.npmjs.org', ports: [443, '8000-8100'] }],
      deny: [],
    },
    ingress: { default: 'allow', deny: [{ set: 'metadata' }] },
  }
  expect(parsePolicy(written).policy).toEqual({
    egress: {
      default: 'deny',
      allow: [{ host: 'registry.npmjs.org' }, { host: '*.npmjs.org', ports: [443, '8000-8100'] }],
    },
    ingress: { default: 'allow', deny: [{ set: 'metadata' }] },
  } satisfies Policy)
})

test.each([
  ['web.default.pod', 'default/web'],
  ['Web.v1.Default.POD.', 'default/web.v1'],
  ['*.default.pod', 'default/*'],
  ['*.pod', '*/*'],
])('the host %s is the pods %s, wherever pods may stand', (host, pod) => {
  const rules = [{ host, ports: [80] }]
  const kept = [{ pod, ports: [80] }]
  const written = {
    egress: { default: 'allow', deny: rules },
    ingress: { default: 'deny', allow: rules, deny: rules },
  }
  expect(parsePolicy(written).policy).toEqual({
    egress: { default: 'allow', deny: kept },
    ingress: { default: 'deny', allow: kept, deny: kept },
  })
  expect(parsePolicy(allowing(...rules)).policy).toEqual(allowing(...kept))
})

test.each(['pod', 'web.pods', 'web.pod.org', 'pod.default', 'notapod'])(
  'the host %s is not a pod',
  (host) => {
    expect(parsePolicy(allowing({ host })).policy).toEqual(allowing({ host }))
  },
)

test('a policy that comes again is the same one, and what was written may change afterwards', () => {
  const allow: unknown[] = [{ cidr: '10.0.0.0/8', ports: [443] }]
  const written = allowing(...allow)
  const { policy } = parsePolicy(written)
  expect(parsePolicy(structuredClone(written)).policy).toBe(policy)
  const [rule] = allow as { ports: number[] }[]
  rule?.ports.push(80)
  expect(parsePolicy(written).policy?.egress?.allow?.[0]?.ports).toEqual([443, 80])
  expect(policy?.egress?.allow?.[0]?.ports).toEqual([443])
  written.egress.allow.push({ cidr: '10.0.0.0/33' })
  expect(problemsOf(written)).toContain('10.0.0.0/33')
  written.egress.allow[1] = { cidr: '10.0.0.0/9', more: () => 1 }
  expect(problemsOf(written)).toContain('unknown key')
})

test.each<[string, unknown]>([
  ['nothing', {}],
  ['a name of 253 characters', allowing({ host: `${`${'a'.repeat(61)}.`.repeat(4)}abcde` })],
  ['a service name', allowing({ host: '_imaps._tcp.example.com' })],
  ['everything of one port', allowing({ ports: [443] })],
  [
    'both families, overlapping',
    allowing({ cidr: '10.0.0.0/8' }, { cidr: '10.1.0.0/16' }, { cidr: 'fd00::/8' }),
  ],
  ['holes', allowing({ cidr: '10.0.0.0/8', except: ['10.1.0.0/16', '10.2.3.4/32'] })],
  ['pods', allowing({ pod: 'default/web' }, { pod: '*/*' }, { pod: { annotations: { app: 'web' } } })],
  ['the host', allowing({ gateway: true, ports: ['53'] })],
  ['who comes by a port', { ingress: { default: 'deny', allow: [{ published: true }] } }],
  [
    'names that others except',
    { egress: { default: 'deny', allow: [{ host: '*.a.org' }], deny: [{ host: 'b.a.org' }] } },
  ],
])('%s is a policy', (_, policy) => {
  expect(problemsOf(policy)).toBe('')
})

test.each<[string, unknown, string]>([
  ['a wildcard in the middle', allowing({ host: 'a.*.org' }), 'policy.egress.allow[0].host: expected a name'],
  ['half a wildcard', allowing({ host: 'a*.org' }), '* stands for whole names'],
  ['a wildcard alone', allowing({ host: '*' }), '* stands for whole names'],
  ['two wildcards', allowing({ host: '*.*.org' }), '* stands for whole names'],
  ['a name that is not ASCII', allowing({ host: 'bücher.example' }), 'in ASCII: "xn--bcher-kva.example"'],
  [
    'a name of 255 characters',
    allowing({ host: `${'a'.repeat(50)}.`.repeat(5) }),
    'at most 253 characters, not 254',
  ],
  ['a label of 64 characters', allowing({ host: `${'a'.repeat(64)}.org` }), 'expected a name such as'],
  ['an empty label', allowing({ host: 'a..org' }), 'expected a name such as'],
  ['a URL', allowing({ host: 'https://a.org' }), 'expected a name such as'],
  ['an address for a name', allowing({ host: '10.1.2.3' }), 'use cidr "10.1.2.3/32"'],
  [
    'a name for ingress',
    { ingress: { default: 'deny', allow: [{ host: 'a.org' }] } },
    'expected no host in ingress',
  ],
  ['a pod’s name without a namespace', allowing({ host: 'web.pod' }), '"NAME.NAMESPACE.pod"'],
  ['a wildcard within a pod’s name', allowing({ host: '*.web.default.pod' }), 'select others with pod'],
  ['a wildcard for a namespace', allowing({ host: 'web.*.pod' }), '* stands for whole names'],
  ['a pod’s name that no pod has', allowing({ host: 'web_1.default.pod' }), '"NAME.NAMESPACE.pod"'],
  ['an address without length', allowing({ cidr: '10.1.2.3' }), 'expected a CIDR: "10.1.2.3/32"'],
  ['a length out of range', allowing({ cidr: '10.0.0.0/33' }), 'expected a CIDR such as'],
  ['a CIDR the wrong way round', allowing({ cidr: '8/10.0.0.0' }), 'expected a CIDR such as'],
  ['a hole of another family', allowing({ cidr: '10.0.0.0/8', except: ['fd00::/8'] }), 'another family'],
  ['a hole that is larger', allowing({ cidr: '10.0.0.0/8', except: ['0.0.0.0/0'] }), 'larger than'],
  ['a hole of nothing', allowing({ except: ['10.0.0.0/8'] }), 'expected a cidr beside except'],
  ['port 0', allowing({ ports: [0] }), 'expected ports from 1 to 65535'],
  ['a port beyond', allowing({ ports: ['1-65536'] }), 'expected ports from 1 to 65535'],
  ['half a port', allowing({ ports: [1.5] }), 'expected ports from 1 to 65535'],
  ['ports reversed', allowing({ ports: ['90-80'] }), 'smaller port first: "80-90"'],
  ['a port twice', allowing({ ports: [80, '80'] }), 'port 80 is there twice'],
  ['no ports', allowing({ ports: [] }), 'leave ports out for all'],
  ['ports of ICMP', allowing({ ports: [1], protocol: 'icmp' }), 'which has none'],
  [
    'a protocol that there is not',
    allowing({ protocol: 'quic' }),
    'expected "tcp", "udp", "sctp", "icmp", got "quic"',
  ],
  ['a pod without namespace', allowing({ pod: 'web' }), 'expected NAMESPACE/NAME'],
  ['two at once', allowing({ cidr: '10.0.0.0/8', host: 'a.org' }), 'not host and cidr at once'],
  [
    'an unknown key',
    allowing({ hosts: 'a.org' }),
    'policy.egress.allow[0].hosts: unknown key. Valid here: host, cidr',
  ],
  ['an unknown side', { egres: {} }, 'policy.egres: unknown key. Valid here: egress, ingress'],
  ['no default', { egress: {} }, 'policy.egress.default: expected "allow", "deny"'],
  [
    'an exception from everything',
    { egress: { default: 'allow', allow: [{ ports: [1] }] } },
    'they would change nothing',
  ],
  [
    'a denied name',
    { egress: { default: 'allow', deny: [{ host: 'a.org' }] } },
    'reached by their addresses',
  ],
  ...[{ ports: [80] }, { cidr: '0.0.0.0/0' }, { cidr: '::/0', except: ['fd00::/8'] }].map(
    (everybody): [string, unknown, string] => [
      `a denied name beside ${JSON.stringify(everybody)}`,
      { egress: { default: 'deny', allow: [{ host: '*.a.org' }, everybody], deny: [{ host: 'b.a.org' }] } },
      'expected no names in deny where everybody is allowed, as the same servers are reached by their addresses',
    ],
  ),
  ['published for egress', allowing({ published: true }), 'expected no published in egress'],
  ['no object', 'deny', 'expected an object, got "deny"'],
])('%s is an error that says where, and what was expected', (_, policy, expected) => {
  expect(problemsOf(policy)).toContain(expected)
})

test.each([
  ...['', '.', '..', 'a.org..', '.a.org', '*.', '*..org', '**.org', '*a.org', 'org.*', '-a.org', 'a-.org'],
  ...['a b.org', 'a/b.org', 'a.org:443', 'user@a.org', 'a\0.org', `*.${'a.'.repeat(126)}b`],
  ...['1.2.3.4.', '1.2.3', '127.1', '0x7f.1', '2130706433', '*.1.2.3', 'a.0x', '::1', '[::1]'],
  ...['☃', 'a。org', '１２７.0.0.1'],
])('the host %j is refused', (host) => {
  expect(problemsOf(allowing({ host }))).toMatch(/^policy\.egress\.allow\[0\]\.host: expected /)
})

test.each([
  ...['', '/', '10.0.0.0/-1', '10.0.0.0/08', '10.0.0.0/8/8', '10.0.0/8', '10.0.0.0/255.0.0.0', '010.0.0.0/8'],
  ...['fd00::/129', 'fd00::/8/8', 'fe80::1%eth0/64', '::ffff:10.0.0.0.0/96', '10.0.0.0 /8'],
])('the CIDR %j is refused', (cidr) => {
  expect(problemsOf(allowing({ cidr }))).toMatch(/^policy\.egress\.allow\[0\]: expected a CIDR/)
})

test.each([-1, 65_536, 1e9, '', '-', '80-', '-80', '1-2-3', ' 80', '0x50', '80,443', '0-80'])(
  'the port %j is refused',
  (port) => {
    expect(problemsOf(allowing({ ports: [port] }))).toContain('expected ports from 1 to 65535')
  },
)

test('10,000 rules are read, and one that is wrong among them is named', () => {
  const rules = Array.from({ length: 10_000 }, (_, n) => ({
    cidr: `10.${n >> 8}.${n & 255}.0/24`,
    ports: [443],
  }))
  expect(parsePolicy(allowing(...rules)).policy?.egress?.allow).toHaveLength(10_000)
  expect(problemsOf(allowing(...rules, { ports: [0] }))).toContain('policy.egress.allow[10000].ports')
})

describe('in the configuration', () => {
  test('it is checked with the rest, and errors name the nearest key', () => {
    const policy = allowing({ set: 'dns' })
    expect(parseConfig({ policy }, undefined).policy).toEqual(policy)
    const pods = { policy: allowing({ host: 'web.default.pod' }) }
    expect(parseConfig(pods, undefined).policy).toEqual(allowing({ pod: 'default/web' }))
    expect(() => parseConfig({ policy: { egres: policy.egress } }, undefined)).toThrow(
      'policy.egres: unknown key; did you mean "egress"?',
    )
    expect(() => parseConfig({ policy: allowing({ ports: [0] }) }, undefined)).toThrow(
      'policy.egress.allow[0].ports: expected ports from 1 to 65535',
    )
  })

  test('editors know its keys', () => {
    expect(JSON.stringify(configJsonSchema().properties)).toContain('By name, of egress alone')
  })
})
