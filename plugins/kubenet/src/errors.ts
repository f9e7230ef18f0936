import { defineErrors, messageOf, type PortMapping, printable } from '@podwire/api'

type HostPort = Pick<PortMapping, 'hostPort' | 'protocol' | 'hostIP'>
const portText = ({ hostPort, protocol, hostIP }: HostPort) =>
  `host port ${hostIP ? `${hostIP}:` : ''}${hostPort}/${protocol}`

/** All that this plugin can say. */
export const errors = defineErrors({
  INVALID_POD_CIDR: {
    message: ({ podCidr, reason }: { podCidr: string; reason: string }) =>
      `pod CIDR "${printable(podCidr)}" can't be used: ${reason}`,
    remedy: 'Give one such as 10.88.0.0/16, or 10.88.0.0/16,fd88::/64.',
    exitCode: 2,
  },
  POD_CIDR_IN_USE: {
    message: ({ podCidr, inTheWay }: { podCidr: string; inTheWay: string }) =>
      `pod CIDR ${podCidr} is in use on this host: ${inTheWay} is in the way`,
    remedy: 'Choose another podCIDR, or remove what is in the way.',
    exitCode: 2,
  },
  NO_FREE_POD_CIDR: {
    message: ({ tried }: { tried: readonly string[] }) =>
      `none of the ${tried.length} pod CIDRs from ${tried[0]} to ${tried.at(-1)} is free on this host`,
    remedy: 'Set podCIDR to a range that is.',
    exitCode: 2,
  },
  POD_CIDR_UNKNOWN: {
    message: () => 'kubenet has no pod CIDR yet',
    remedy:
      'Set "podCIDR": "auto" in the configuration, or a CIDR such as "10.88.0.0/16". With cluster, podwire daemon gets one: start it, or see what keeps it from that with podwire cluster status.',
  },
  INVALID_NON_MASQUERADE_CIDR: {
    message: ({ nonMasqueradeCIDR }: { nonMasqueradeCIDR: string }) =>
      `nonMasqueradeCIDR "${printable(nonMasqueradeCIDR)}" is not a CIDR`,
    remedy: 'Give one such as 10.0.0.0/8, or several separated by commas.',
    exitCode: 2,
  },
  ADDRESS_NOT_USABLE: {
    message: ({ address, reason }: { address: string; reason: string }) =>
      `the address "${printable(address)}" that the pod asks for can't be given: ${reason}`,
    remedy: 'Change the annotation podwire.dev/ip.',
  },
  MAC_NOT_USABLE: {
    message: ({ mac }: { mac: string }) =>
      `"${printable(mac)}", which the pod asks for, is not a MAC address of one interface`,
    remedy: 'Write six bytes as 02:42:0a:58:00:07 into the annotation podwire.dev/mac.',
  },
  INTERFACE_NAME_NOT_USABLE: {
    message: ({ name }: { name: string }) => `an interface can't be called "${printable(name)}"`,
    remedy: 'Take 1–15 letters, digits, or "-", "_", ".".',
  },
  ADDRESS_IN_USE: {
    message: ({ address, owner }: { address: string; owner: string }) =>
      `the address ${address} that the pod asks for belongs to ${owner}`,
    remedy: 'Choose another, or tear that pod down.',
  },
  ADDRESSES_EXHAUSTED: {
    message: (about: { network: string; inUse: number; owners: readonly string[] }) =>
      `no address is left in ${about.network}: ${about.inUse} are in use, by ${about.owners.slice(0, 5).join(', ')}` +
      (about.inUse > 5 ? ` and ${about.inUse - 5} more pods` : ''),
    remedy: 'Tear pods down, or use a larger pod CIDR.',
  },
  HOST_PORT_IN_USE: {
    message: ({ owner, ...port }: HostPort & { owner: string }) => `${portText(port)} is in use by ${owner}`,
    remedy: 'Publish another one.',
  },
  HOST_PORT_TWICE: {
    message: ({ targets, ...port }: HostPort & { targets: readonly number[] }) =>
      `${portText(port)} can't lead to the pod's ports ${targets.join(' and ')} at once`,
    remedy: 'Publish it once.',
    exitCode: 2,
  },
  HOST_PORT_FAMILY: {
    message: (port: HostPort) =>
      `${portText(port)} can't lead to the pod, which has no address of that family`,
    remedy: 'Use another hostIP, or a dual-stack pod CIDR.',
    exitCode: 2,
  },
  RULES_KEEP_CHANGING: {
    message: ({ attempts, seconds }: { attempts: number; seconds: number }) =>
      `other processes changed firewall rules all the time: a change was begun ${attempts} times in ${seconds.toFixed(1)} s`,
    remedy: 'Try again; if it stays so, see with nft monitor who changes rules.',
  },
  FIREWALL_UNAVAILABLE: {
    message: ({ reason }: { reason: string }) => `host ports can't be published: ${reason}`,
    remedy: 'Publish no ports, or let this process change nftables.',
  },
  POLICY_UNAVAILABLE: {
    message: ({ reason }: { reason: string }) => `a policy can't be enforced: ${reason}`,
    remedy: 'Let this process change nftables.',
  },
  POLICIES_CUT_OFF: {
    message: ({ reason }: { reason: string }) =>
      `all pods with a policy are cut off, as their policies could not be put back with the other rules: ${reason}`,
    remedy:
      'It is tried again with every repair. Take away what the reason names; podwire repair tries at once.',
  },
  POLICY_NEEDS_ROUTED: {
    message: ({ pod }: { pod: string }) =>
      `pod ${pod} is connected by a bridge, where packets between its ports pass no rules of connections, and so can't have a policy`,
    remedy: 'Set plugins.kubenet.datapath to routed, and set the pod up anew.',
    exitCode: 2,
  },
  INVALID_POLICY: {
    message: ({ pod, reason }: { pod: string; reason: string }) => `the policy of pod ${pod}: ${reason}`,
    exitCode: 2,
  },
  PEER_PODS_INVALID: {
    message: (_: object, cause: unknown) =>
      `what the host tells of other nodes' pods can't be so: ${messageOf(cause)}`,
    remedy: 'Leave the event peer-pods-change to the daemon, which tells what it heard of them.',
  },
  SHAPING_UNSUPPORTED: {
    message: ({ direction }: { direction: 'ingress' | 'egress' }, cause: unknown) =>
      `the pod's ${direction} bandwidth can't be limited: ${messageOf(cause)}`,
    remedy: 'The kernel needs sch_tbf, and for egress also ifb, sch_ingress, cls_u32 and act_mirred.',
  },
  SYSCTL_REFUSED: {
    message: ({ path, wanted }: { path: string; wanted: string }, cause: unknown) =>
      `${path.replaceAll('/', '.')} can't be set to ${wanted} (${messageOf(cause)})`,
    remedy: 'Set it outside, as root of the host.',
  },
  BRIDGE_NAME_TAKEN: {
    message: ({ bridge, kind }: { bridge: string; kind: string | undefined }) =>
      `${bridge} exists and is a ${kind ?? 'physical'} link, not a bridge`,
    remedy: 'Name another one with plugins.kubenet.bridge.',
    exitCode: 2,
  },
  BRIDGE_OF_ANOTHER_HOST: {
    message: ({ bridge, stateDir }: { bridge: string; stateDir: string }) =>
      `bridge ${bridge} belongs to the host whose state is in ${printable(stateDir)}`,
    remedy: 'Name another one with plugins.kubenet.bridge, or use that state directory.',
    exitCode: 2,
  },
  BRIDGE_CHANGED: {
    message: ({ bridge, stateDir, pods }: { bridge: string; stateDir: string; pods: number }) =>
      `${pods} pods of ${stateDir} are on the bridge ${bridge}, which is not the configured one`,
    remedy: 'Set plugins.kubenet.bridge back, tear those pods down, or use another state directory.',
    exitCode: 2,
  },
  PODS_LEFT: {
    message: ({ stateDir, pods }: { stateDir: string; pods: number }) =>
      `${pods} pods of ${stateDir} have their network still, which can't be taken away under them`,
    remedy: 'Tear them down first.',
  },
  BRIDGE_FULL: {
    message: () => 'the bridge has no port left, as Linux gives it 1023',
    remedy: 'Tear pods down, or run another host with a bridge of its own.',
  },
  MTU_TOO_SMALL: {
    message: ({ mtu, least }: { mtu: number; least: number }) =>
      `an MTU of ${mtu} bytes is too small for IPv6, which needs ${least}`,
    remedy: ({ least }: { least: number }) => `Set mtu to ${least} or more, or leave IPv6 out of podCIDR.`,
  },
  IPV6_UNAVAILABLE: {
    message: ({ podCidr }: { podCidr: string }) =>
      `the pod CIDR ${podCidr} has an IPv6 network, and this kernel has no IPv6`,
    remedy: 'Leave IPv6 out of podCIDR, or boot the kernel without ipv6.disable=1.',
  },
  INTERFACE_TAKEN: {
    message: ({ name, netns }: { name: string; netns: string }) =>
      `the network namespace ${netns} has an interface ${name} already, which kubenet did not make`,
    remedy: 'Remove it, or give the pod a fresh namespace.',
  },
  INVALID_SANDBOX_ID: {
    message: ({ sandboxId }: { sandboxId: string }) => `"${printable(sandboxId)}" is not a sandbox id`,
    remedy: 'Use 1–128 letters, digits, "_", "." or "-", a letter or digit first.',
    exitCode: 2,
  },
  POD_NETWORK_CHANGED: {
    message: ({ pod, differences }: { pod: string; sandboxId: string; differences: readonly string[] }) =>
      `the network of pod ${pod} is not as it was set up: ${differences.join('; ')}`,
    remedy: 'Set the pod up again.',
  },
  STATE_NOT_WRITABLE: {
    message: ({ stateDir }: { stateDir: string }, cause: unknown) =>
      `the state directory ${stateDir} can't be written: ${messageOf(cause)}`,
    remedy: 'Make room or give this process the right to write there, or set another stateDir.',
  },
  RECORD_UNREADABLE: {
    message: ({ file }: { file: string }, cause: unknown) =>
      `the pod record ${printable(file)} can't be read: ${messageOf(cause)}`,
    remedy: 'Tear the pod down: that takes away all that its sandbox has, and the file.',
  },
  INVALID_NAME_SERVER: {
    message: ({ server }: { server: string }) => `"${printable(server)}" is not the address of a name server`,
    remedy: 'Give one such as 10.0.0.53, 10.0.0.53:5353 or [fd00::53]:5353.',
    exitCode: 2,
  },
  NO_NAME_SERVER: {
    message: () => 'the host has no name server that names of a policy could be looked up with',
    remedy: 'Add one to /etc/resolv.conf.',
  },
  RESOLVER_NOT_LISTENING: {
    message: ({ addresses, port }: { addresses: readonly string[]; port: number }, cause: unknown) =>
      `the resolver can't listen on port ${port} of ${addresses.join(', ')}: ${messageOf(cause)}`,
    remedy: 'End what has that port, or give another one.',
  },
  SETUP_STEP_FAILED: {
    message: ({ pod, step }: { pod: string; sandboxId: string; step: string }, cause: unknown) =>
      `${step} of pod ${pod}: ${messageOf(cause)}`,
  },
})
