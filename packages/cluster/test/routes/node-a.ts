import { parsePodSubnets } from '../../src/layout/pod-subnets.ts'
import { parseSubnet } from '../../src/layout/range.ts'
import type { Underlay } from '../../src/routes/underlay.ts'

/** A node of both families, and how it is connected. */
export const underlay: Underlay = {
  dev: 2,
  name: 'eth0',
  mtu: 1500,
  publicIP: '192.0.2.1',
  publicIPv6: '2001:db8::1',
  onLink: ['192.0.2.0/24', '2001:db8::/64'],
  own: ['127.0.0.1', '192.0.2.1', '192.0.2.77', '2001:db8::1'],
}
export const self = {
  nodeName: 'a',
  subnets: parsePodSubnets('10.244.1.0/24,fd00:244:1::/64')!,
  networks: ['10.244.0.0/16', 'fd00:244::/32'].map((one) => parseSubnet(one)!),
}
