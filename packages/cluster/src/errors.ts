import { defineErrors, messageOf, printable } from '@podwire/api'
import { describeDuration } from './describe-duration.ts'

/** Why one endpoint of etcd did not answer. */
export interface EndpointFailure {
  readonly endpoint: string
  readonly reason: string
}

/** What a node has, or has had until now. */
interface LeaseInUse {
  readonly podCIDR: string
  /** `leased to node a at 192.0.2.1` */
  readonly owner: string
  /** Milliseconds; undefined: a reservation, which has no end. */
  readonly leftMs?: number
  /** How long ago its node renewed it. Milliseconds. */
  readonly renewedMs?: number
}

/** All that this package can say. */
export const errors = defineErrors({
  // etcd
  ETCD_UNREACHABLE: {
    message: ({ operation, failures }: { operation: string; failures: readonly EndpointFailure[] }) =>
      `etcd can't be reached to ${operation}: ${failures
        .map(({ endpoint, reason }) => `${printable(endpoint)}: ${printable(reason)}`)
        .join('; ')}`,
    remedy:
      'See that it runs and can be reached from this node, and that cluster.etcd or --endpoint names it.',
  },
  ETCD_REFUSED: {
    message: (about: { operation: string; endpoint: string; reason: string; grpcCode?: number }) =>
      `etcd at ${printable(about.endpoint)} refused to ${about.operation}: ${printable(about.reason)}`,
  },
  ETCD_COMPACTED: {
    message: ({ revision, compacted }: { revision: number; compacted: number }) =>
      `etcd has forgotten what happened since revision ${revision}: it keeps what came after ${compacted}`,
  },
  ETCD_ANSWER: {
    message: ({ endpoint, operation }: { endpoint: string; operation: string }, cause: unknown) =>
      `What ${printable(endpoint)} answered to "${operation}" is not etcd's: ${messageOf(cause)}`,
    remedy: 'Give the client URLs of an etcd 3.4 or newer in cluster.etcd.endpoints.',
  },

  // The network
  NETWORK_UNSET: {
    message: ({ key }: { key: string }) => `There is no network in etcd: it has no key ${printable(key)}`,
    remedy: 'Write it once for all nodes: podwire cluster init --network 10.244.0.0/16',
    exitCode: 2,
  },
  NETWORK_INVALID: {
    message: ({ key, problem }: { key: string; problem: string }) =>
      `The network in etcd can't be used: ${printable(key)}: ${printable(problem)}`,
    remedy: 'Write it anew: podwire cluster init --network CIDR --force',
    exitCode: 2,
  },
  NETWORK_REFUSED: {
    message: ({ problem }: { problem: string }) => `There can be no such network: ${printable(problem)}`,
    remedy: 'See what there can be with: podwire cluster init --help',
    exitCode: 2,
  },
  NETWORK_EXISTS: {
    message: ({ key, value }: { key: string; value: string }) =>
      `There is a network in etcd already, another one: ${printable(key)} = ${printable(value)}`,
    remedy:
      'Leave it, or replace it with --force: a node takes the new one when its daemon is started again.',
    exitCode: 2,
  },
  NETWORK_FULL: {
    message: ({ network, leases }: { network: string; leases: number }) =>
      `No pod CIDR of ${printable(network)} is free: ${leases} are leased or reserved`,
    remedy: 'Release what nobody uses: podwire cluster leases, podwire cluster release NODE.',
  },

  // Leases
  NODE_NAME_TAKEN: {
    message: (about: { nodeName: string; publicIP: string; other: string; podCIDR: string }) =>
      `Node ${printable(about.nodeName)} at ${about.publicIP} can't join: a node of that name at ${printable(about.other)} has ${printable(about.podCIDR)}`,
    remedy: ({ nodeName }) =>
      `Give this one another name with cluster.nodeName; or, if the other is no more: podwire cluster release ${printable(nodeName)}`,
    exitCode: 2,
  },
  PUBLIC_ADDRESS_TAKEN: {
    message: (about: { nodeName: string; publicIP: string; other: string; podCIDR: string }) =>
      `Node ${printable(about.nodeName)} can't join: its address ${about.publicIP} is that of node ${printable(about.other)}, which has ${printable(about.podCIDR)}`,
    remedy: ({ other }) =>
      `Give this one another address with cluster.publicIP; or, if the other is no more: podwire cluster release ${printable(other)}`,
    exitCode: 2,
  },
  LEASE_TAKEN_OVER: {
    message: ({ nodeName, publicIP }: { nodeName: string; publicIP: string }) =>
      `Another daemon has taken over what node ${printable(nodeName)} at ${publicIP} had: it has the same name and the same address`,
    remedy: 'Run one daemon on a node, or give each a name and an address of its own; then restart this one.',
  },
  ACQUISITION_CONTENDED: {
    message: ({ attempts }: { attempts: number }) =>
      `No pod CIDR could be leased in ${attempts} attempts: other nodes changed the leases each time`,
    remedy: 'It is tried again by itself.',
  },
  NO_SUCH_LEASE: {
    message: ({ wanted }: { wanted: string }) =>
      `No node or pod CIDR ${printable(wanted)} is leased or reserved`,
    remedy: 'See those there are: podwire cluster leases',
  },
  LEASE_CHANGED: {
    message: ({ podCIDR }: { podCIDR: string }) => `${printable(podCIDR)} changed hands meanwhile`,
    remedy: 'Look again: podwire cluster leases',
  },
  LEASE_IN_USE: {
    message: ({ podCIDR, owner, leftMs, renewedMs }: LeaseInUse) =>
      `${printable(podCIDR)} is ${printable(owner)}, ${
        leftMs === undefined
          ? 'and has no end'
          : `which has it for ${describeDuration(leftMs)} more, and was heard of ${describeDuration(renewedMs ?? 0)} ago`
      }. Nothing was released`,
    remedy: ({ podCIDR }) =>
      `A node that runs is cut off from the others by it. If it is no more, or that is wanted: podwire cluster release ${printable(podCIDR)} --force`,
  },
  RESERVATION_INVALID: {
    message: ({ podCIDR, reason }: { podCIDR: string; reason: string; taken?: string }) =>
      `${printable(podCIDR)} can't be reserved: ${printable(reason)}`,
    remedy: ({ taken }) =>
      taken === undefined ? undefined : `Release it first: podwire cluster release ${printable(taken)}`,
    exitCode: 2,
  },

  // Nodes that are written down
  STATIC_NODE_UNKNOWN: {
    message: ({ nodeName, nodes }: { nodeName: string; nodes: readonly string[] }) =>
      `This node is called ${printable(nodeName)}, and cluster.static has none of that name: ${printable(nodes.join(', '))}`,
    remedy: 'Add it there, or say with cluster.nodeName which of them it is.',
    exitCode: 2,
  },
  STATIC_NODES_OVERLAP: {
    message: (about: { one: string; other: string; podCIDR: string }) =>
      `Nodes ${printable(about.one)} and ${printable(about.other)} have addresses of ${printable(about.podCIDR)} in common`,
    remedy: 'Give each node of cluster.static a podCIDR of its own.',
    exitCode: 2,
  },

  // Kubernetes
  KUBERNETES_ACCESS: {
    message: ({ from }: { from: string }, cause: unknown) =>
      `How to reach the API server is not known: ${printable(from)}: ${printable(messageOf(cause))}`,
    remedy:
      'Run in a pod with a service account that may list and watch nodes, or give cluster.kubernetes.kubeconfig.',
    exitCode: 2,
  },

  // This node
  NO_PUBLIC_ADDRESS: {
    message: ({ reason }: { reason: string }) =>
      `The address by which other nodes reach this one is not known: ${printable(reason)}`,
    remedy: 'Give it with cluster.publicIP, or the link that has it with cluster.interface.',
    exitCode: 2,
  },
  LINK_IN_THE_WAY: {
    message: ({ name }: { name: string }) =>
      `There is a link ${printable(name)} that Podwire did not make, and its own would have that name`,
    remedy: 'Delete it; or, where it is of vxlan, give the network another VNI.',
  },
  WIREGUARD_UNAVAILABLE: {
    message: ({ kernel }: { kernel: string }) =>
      `Nodes reach each other by WireGuard, and this node's kernel, Linux ${printable(kernel)}, has none: its module wireguard is not there or can't be loaded`,
    remedy:
      'Run a kernel of 5.6 or newer that has it, and modprobe wireguard; or write the network with another backend for all nodes: podwire cluster init --network CIDR --backend vxlan --force, and --ipv6 where it has one',
    exitCode: 2,
  },
})
