import { type DeniedFlow, METADATA_ADDRESSES } from '@podwire/api'
import { expect, test } from 'vitest'
import { parsePolicyFlag } from '../src/policy-flags.ts'
import { type Known, suggestRules } from '../src/suggested-rules.ts'

const at = '2026-01-01T00:00:00.000Z'
const denied = (flow: Partial<DeniedFlow>): DeniedFlow => ({
  pod: { namespace: 'default', name: 'web', sandboxId: 's' },
  ...{ direction: 'egress', protocol: 'tcp', rule: 'default', count: 1, first: at, last: at },
  ...flow,
})
const known: Known = {
  isHost: (address) => address === '10.88.0.1',
  podAt: (address) => (address === '10.88.0.8' ? 'default/db' : undefined),
}
const suggest = (...flows: Partial<DeniedFlow>[]) => suggestRules(flows.map(denied), known)

test.each<[string, Partial<DeniedFlow>, string]>([
  ['an address', { address: '93.184.216.34', port: 443 }, '93.184.216.34:443/tcp'],
  ['one of IPv6', { address: '2606::1', port: 53, protocol: 'udp' }, '[2606::1]:53/udp'],
  ['one without a port', { address: '2606::1', protocol: 'icmp' }, '2606::1/icmp'],
  ['a name', { protocol: 'dns', port: 53, name: 'a.org' }, 'a.org'],
  ['what a name led to', { address: '93.184.216.34', port: 22, name: 'a.org' }, 'a.org:22/tcp'],
  ['the name of a pod', { protocol: 'dns', port: 53, name: 'web.v1.test.pod' }, 'pod:test/web.v1'],
  ['a pod by its address', { address: '10.88.0.8', port: 5432 }, 'pod:default/db:5432/tcp'],
  ['a pod by its name', { address: '10.88.0.7', port: 80, name: 'web.test.pod' }, 'pod:test/web:80/tcp'],
])('%s is suggested as it is, and is a flag', (_, flow, allow) => {
  expect(suggest(flow, flow)).toEqual({ suggested: [{ allow }], notSuggested: [] })
  expect(() => parsePolicyFlag('--allow')(allow)).not.toThrow()
})

test.each(['10.1.2.3', '172.16.0.1', '192.168.1.1', '100.64.0.1', 'fd00::7'])(
  '%s is suggested with a caution, as it is private',
  (address) => {
    const [first, ...more] = suggest({ address, port: 5432 }).suggested
    expect(more).toEqual([])
    expect(first).toEqual({
      allow: address.includes(':') ? `[${address}]:5432/tcp` : `${address}:5432/tcp`,
      caution: expect.stringContaining('is a private address'),
    })
  },
)

test('the host itself is suggested with a caution', () => {
  expect(suggest({ address: '10.88.0.1', port: 9 }).suggested).toEqual([
    { allow: '10.88.0.1:9/tcp', caution: 'is this host itself' },
  ])
})

test.each([...METADATA_ADDRESSES, '169.254.7.7', 'fe80::1', '127.0.0.1', '::1'])(
  '%s is not suggested, and it is said why',
  (address) => {
    const { suggested, notSuggested } = suggest({ address, port: 80 })
    expect(suggested).toEqual([])
    expect(notSuggested).toEqual([
      { allow: expect.stringContaining(address), caution: expect.stringMatching(/^is /) },
    ])
  },
)

test('an allowed name that leads where it must not is suggested by that address, with what it is', () => {
  const leading = (address: string) => suggest({ protocol: 'dns', rule: 'address', name: 'db.org', address })
  expect(leading('10.1.2.3').suggested).toEqual([
    { allow: '10.1.2.3', caution: expect.stringMatching(/^is where db.org leads.* is a private address/) },
  ])
  expect(leading('203.0.113.1').suggested).toEqual([
    { allow: '203.0.113.1', caution: 'is where db.org leads, by every port of it' },
  ])
  expect(leading('169.254.169.254')).toMatchObject({
    suggested: [],
    notSuggested: [{ allow: '169.254.169.254' }],
  })
})

test('nothing is suggested that a rule or a limit denies, of who comes, and of what a shell would read otherwise', () => {
  expect(
    suggest(
      { address: '93.184.216.34', rule: 'deny[0]' },
      { protocol: 'dns', name: 'a.org', rule: 'limit' },
      { address: '93.184.216.34', direction: 'ingress' },
      ...['$(reboot).org', 'a;reboot', "a'b.org", 'a..org', '.'].map((name) => ({ protocol: 'dns', name })),
    ),
  ).toEqual({ suggested: [], notSuggested: [] })
})
