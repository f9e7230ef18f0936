import type { JsonObject } from '../../kernel-state/json.ts'

/**
 * What a plugin is for: it makes the interface, it changes one that is there, or it hands out addresses to another plugin.
 */
export type Role = 'interface' | 'chained' | 'ipam'

/** What the kit must know of a type of plugin to call it. */
export interface Profile {
  readonly role: Role
  /** Its part of a configuration, for the sandbox of this number. */
  config(index: number): JsonObject
  /** A shell script for the host, run before anything else. */
  readonly prepare?: string
  /** Default: `eth0`. */
  readonly ifName?: string
  /** The interface is there before ADD and after DEL. */
  readonly keepsInterface?: boolean
  /** Every sandbox gets the addresses that the configuration names. */
  readonly sameAddresses?: boolean
}

const ipam = {
  type: 'host-local',
  ranges: [[{ subnet: '10.210.0.0/16', gateway: '10.210.0.1' }]],
  routes: [{ dst: '0.0.0.0/0', gw: '10.210.0.1' }],
}

const uplink =
  'ip link add uplink0 type veth peer name uplink1 && ip link set uplink0 up && ip link set uplink1 up'

// A kernel without the type would have the plugin fail at everything.
const probe = (type: string) =>
  `${uplink} && ip link add probe link uplink0 type ${type} && ip link delete probe`

/** Configurations for the plugins that every distribution brings. */
export const profiles: Readonly<Record<string, Profile>> = {
  bridge: {
    role: 'interface',
    config: () => ({ bridge: 'cni-test0', isGateway: true, ipMasq: true, ipam }),
  },
  ptp: { role: 'interface', config: () => ({ ipMasq: true, ipam }) },
  macvlan: {
    role: 'interface',
    config: () => ({ master: 'uplink0', mode: 'bridge', ipam }),
    prepare: probe('macvlan'),
  },
  ipvlan: {
    role: 'interface',
    config: () => ({ master: 'uplink0', mode: 'l2', ipam }),
    prepare: probe('ipvlan'),
  },
  vlan: {
    role: 'interface',
    config: (index) => ({ master: 'uplink0', vlanId: 100 + index, ipam }),
    prepare: probe('vlan id 99'),
  },
  'host-device': {
    role: 'interface',
    config: (index) => ({ device: `spare${index}`, ipam }),
    prepare:
      'for i in $(seq 0 15); do ip link add spare$i type veth peer name cable$i && ip link set cable$i up || exit 1; done',
  },
  loopback: {
    role: 'interface',
    config: () => ({}),
    ifName: 'lo',
    keepsInterface: true,
    sameAddresses: true,
  },
  portmap: {
    role: 'chained',
    config: () => ({ snat: true, capabilities: { portMappings: true } }),
  },
  bandwidth: {
    role: 'chained',
    config: () => ({
      ingressRate: 8_000_000,
      ingressBurst: 800_000,
      egressRate: 8_000_000,
      egressBurst: 800_000,
    }),
  },
  firewall: { role: 'chained', config: () => ({ backend: 'iptables' }) },
  tuning: {
    role: 'chained',
    config: () => ({ mtu: 1400, sysctl: { 'net.ipv4.conf.eth0.arp_filter': '1' } }),
  },
  sbr: { role: 'chained', config: () => ({}) },
  'host-local': { role: 'ipam', config: () => ({ ipam }) },
  static: {
    role: 'ipam',
    config: () => ({
      ipam: {
        type: 'static',
        addresses: [{ address: '10.210.0.5/16', gateway: '10.210.0.1' }],
        routes: ipam.routes,
      },
    }),
    sameAddresses: true,
  },
}
