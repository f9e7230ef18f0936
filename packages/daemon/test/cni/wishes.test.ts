import type { AttachmentRequest, JsonObject } from '@podwire/libcni'
import { describe, expect, test } from 'vitest'
import { readWishes } from '../../src/cni/wishes.ts'

const args = { namespace: 'a', name: 'b', ips: [] }
const read = (runtimeConfig: JsonObject, config: JsonObject = {}, more = {}) =>
  readWishes({ runtimeConfig, config } as unknown as AttachmentRequest, { ...args, ...more }) // what it reads

describe('what is asked of a pod’s network', () => {
  test('are ports, limits, addresses and names', () => {
    const wishes = read({
      portMappings: [
        { hostPort: 8080, containerPort: 80, protocol: 'TCP', hostIP: '' },
        { hostPort: 5353, containerPort: 53, protocol: 'udp', hostIP: '127.0.0.1' },
        { hostPort: 0, containerPort: 9000 },
      ],
      bandwidth: { ingressRate: 8_000_000, ingressBurst: 1, egressRate: 0 },
      ips: ['10.1.0.5/16'],
      mac: '02:00:00:00:00:0A',
      dns: { servers: ['10.0.0.53'], searches: ['a.b'] },
    })
    expect(wishes).toMatchObject({
      portMappings: [
        { hostPort: 8080, containerPort: 80, protocol: 'tcp' },
        { hostPort: 5353, containerPort: 53, protocol: 'udp', hostIP: '127.0.0.1' },
      ],
      annotations: {
        'kubernetes.io/ingress-bandwidth': '8000000',
        'podwire.dev/ip': '10.1.0.5',
        'podwire.dev/mac': '02:00:00:00:00:0a',
      },
      dns: { nameservers: ['10.0.0.53'], search: ['a.b'] },
    })
    expect(Object.keys(wishes.annotations)).toHaveLength(3)
  })

  test('are the older convention’s addresses, where the newer says nothing', () => {
    expect(read({}, {}, { ips: ['10.1.0.6'], mac: '02:00:00:00:00:0b' }).annotations).toEqual({
      'podwire.dev/ip': '10.1.0.6',
      'podwire.dev/mac': '02:00:00:00:00:0b',
    })
    expect(read({ ips: ['10.1.0.5'] }, {}, { ips: ['10.1.0.6'] }).ips).toEqual(['10.1.0.5'])
  })

  test('are names of the configuration, where the runtime says nothing', () => {
    expect(read({}, { dns: { Nameservers: 1, nameservers: ['10.0.0.1'] } }).dns).toEqual({
      nameservers: ['10.0.0.1'],
    })
    expect(read({}).dns).toBeUndefined()
  })

  test('are ranges', () => {
    const { isInRange } = read({
      ipRanges: [
        [{ subnet: '10.1.0.0/16', rangeStart: '10.1.0.10', rangeEnd: '10.1.0.20' }],
        [{ subnet: 'fd00::/64' }],
      ],
    })
    const asked = ['10.1.0.9', '10.1.0.10', '10.1.0.20', '10.1.0.21', '10.2.0.10', 'fd00::7', 'fd01::7']
    expect(asked.filter((address) => isInRange?.(address))).toEqual(['10.1.0.10', '10.1.0.20', 'fd00::7'])
    expect(read({}).isInRange).toBeUndefined()
  })

  test.each<[string, JsonObject, JsonObject, number, string]>([
    [
      'a capability that nobody knows',
      { aliases: { a: ['b'] } },
      {},
      2,
      'runtimeConfig.aliases = {"a":["b"]}',
    ],
    [
      'addresses from another plugin',
      {},
      { ipam: { type: 'host-local' } },
      2,
      'ipam = {"type":"host-local"}',
    ],
    [
      'a port that is none',
      { portMappings: [{ hostPort: 70_000, containerPort: 1 }] },
      {},
      7,
      'portMappings.0.hostPort',
    ],
    [
      'a protocol that is none',
      { portMappings: [{ hostPort: 7, containerPort: 1, protocol: 'x' }] },
      {},
      7,
      'protocol',
    ],
    ['ports that are not a list', { portMappings: 'x' }, {}, 7, 'portMappings'],
    ['a rate below zero', { bandwidth: { ingressRate: -1 } }, {}, 7, 'ingressRate'],
    ['an address that is none', { ips: ['10.1'] }, {}, 7, 'ips.0'],
    ['an address of a link', { ips: ['fe80::1%eth0'] }, {}, 7, 'ips.0'],
    [
      'a range that begins in another family',
      { ipRanges: [[{ subnet: '10.1.0.0/16', rangeStart: 'fd00::1' }]] },
      {},
      7,
      'ipRanges',
    ],
    [
      'a range that ends before it begins',
      { ipRanges: [[{ subnet: '10.1.0.0/16', rangeStart: '10.1.0.9', rangeEnd: '10.1.0.1' }]] },
      {},
      7,
      'ipRanges',
    ],
    ['a range that is none', { ipRanges: [[{ subnet: '10.1.0.0' }]] }, {}, 7, 'subnet'],
    ['names that are none', {}, { dns: { nameservers: 'x' } }, 7, 'dns.nameservers'],
  ])('is refused: %s', (_, runtimeConfig, config, cniCode, text) => {
    expect(() => read(runtimeConfig, config)).toThrow(
      expect.objectContaining({ cniCode, message: expect.stringContaining(text) }),
    )
  })
})
