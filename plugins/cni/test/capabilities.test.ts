import { describeCapabilities } from '@podwire/api'
import { parseNetworkConfigList } from '@podwire/libcni'
import { describe, expect, it } from 'vitest'
import { announcedCapabilities } from '../src/announced-capabilities.ts'
import { capabilityArgs } from '../src/capability-args.ts'

const nothing = { pod: { annotations: {}, portMappings: [] }, podCIDR: '', dns: undefined }

describe('capability arguments', () => {
  it('are none for a pod that asks for nothing', () => {
    expect(capabilityArgs(nothing)).toEqual({})
  })

  it.each([
    [1e6, { ingressRate: 1e6, ingressBurst: 1_048_576 }],
    [1e8, { ingressRate: 1e8, ingressBurst: 1e7 }],
    [1e15, { ingressRate: 1e15, ingressBurst: 2_147_483_647 }],
  ])('limit to %d bits per second, with a burst of a tenth of a second', (ingress, expected) => {
    const args = capabilityArgs({ ...nothing, pod: { ...nothing.pod, bandwidth: { ingress } } })
    expect(args['bandwidth']).toEqual(expected)
  })

  it('publish ports with a protocol in lower case, and leave out port 0', () => {
    const portMappings = [
      { hostPort: 53, containerPort: 53, protocol: 'UDP' as 'udp', hostIP: '127.0.0.1' },
      { hostPort: 0, containerPort: 80, protocol: 'tcp' as const },
    ]
    expect(capabilityArgs({ ...nothing, pod: { annotations: {}, portMappings } })).toEqual({
      portMappings: [{ hostPort: 53, containerPort: 53, protocol: 'udp', hostIP: '127.0.0.1' }],
    })
  })

  it.each([
    ['10.88.0.0/16', [[{ subnet: '10.88.0.0/16' }]]],
    ['fd00::/64, 10.88.0.0/16', [[{ subnet: '10.88.0.0/16' }], [{ subnet: 'fd00::/64' }]]],
    ['10.1.0.0/24,10.2.0.0/24', [[{ subnet: '10.1.0.0/24' }, { subnet: '10.2.0.0/24' }]]],
  ])('make an address for each family of %s', (podCIDR, ipRanges) => {
    expect(capabilityArgs({ ...nothing, podCIDR })).toEqual({ ipRanges })
  })

  it('hand the DNS of the options over', () => {
    const dns = { servers: ['10.0.0.53'] }
    expect(capabilityArgs({ ...nothing, dns })).toEqual({ dns })
  })
})

describe('announced capabilities', () => {
  const announced = (plugins: object[], more: object = {}) => {
    const list = JSON.stringify({ cniVersion: '1.0.0', name: 'net', plugins, ...more })
    return describeCapabilities(announcedCapabilities(parseNetworkConfigList(list)))
  }
  const hostLocal = (ipam: object) => [{ type: 'bridge', ipam: { type: 'host-local', ...ipam } }]

  it('are what holds for any network while there is none', () => {
    expect(describeCapabilities(announcedCapabilities(undefined))).toEqual(['gc', 'multiNetwork'])
  })

  it('are what the plugins declare', () => {
    const plugins = [
      { type: 'a', capabilities: { bandwidth: true } },
      { type: 'b', capabilities: { portMappings: false } },
    ]
    expect(announced(plugins)).toEqual(['shaping', 'dualStack', 'check', 'gc', 'multiNetwork'])
    expect(announced([{ type: 'a', capabilities: { portMappings: true } }])).toContain('portMappings')
  })

  it.each([
    ['an old version', { cniVersion: '0.3.1' }],
    ['disableCheck', { disableCheck: true }],
  ])('leave CHECK out for %s', (_, more) => {
    expect(announced([{ type: 'a' }], more)).not.toContain('check')
  })

  it.each([
    ['IPv4 alone', hostLocal({ subnet: '10.0.0.0/24' }), false],
    ['IPv4 ranges alone', hostLocal({ ranges: [[{ subnet: '10.0.0.0/24' }]] }), false],
    ['keys in capitals', [{ type: 'bridge', IPAM: { type: 'host-local', Subnet: '10.0.0.0/24' } }], false],
    ['IPv6 alone', hostLocal({ subnet: 'fd00::/64' }), false],
    [
      'static addresses of both',
      hostLocal({ addresses: [{ address: '10.0.0.5/24' }, { address: 'fd00::5/64' }] }),
      true,
    ],
    ['ranges of both', hostLocal({ ranges: [[{ subnet: '10.0.0.0/24' }], [{ subnet: 'fd00::/64' }]] }), true],
    ['what only the IPAM plugin knows', [{ type: 'calico', ipam: { type: 'calico-ipam' } }], true],
    ['ranges from the pod CIDR', [{ type: 'bridge', capabilities: { ipRanges: true } }], true],
  ])('tell the families of %s', (_, plugins, both) => {
    expect(announced(plugins).includes('dualStack')).toBe(both)
  })
})
