import { type EventDetails, FLOW_DENIED, type Logger } from '@podwire/api'
import { addresses } from '@podwire/netlink'
import type { Firewall } from '../firewall/firewall.ts'
import { formatCidr } from '../ipam/cidr.ts'
import type { Claims } from '../ipam/claims.ts'
import type { FormerAddresses } from '../ipam/former-addresses.ts'
import type { PodNetwork } from '../ipam/network.ts'
import type { Kernel } from '../kernel/kernel.ts'
import type { PodLinks } from '../ownership/pod-links.ts'
import type { PeerPods } from '../peers/peer-pods.ts'
import type { PodRecord } from '../pod-record.ts'
import { createDenials, type Denials } from './denials.ts'
import { createFlows, type Flows } from './flows.ts'
import { createNaming } from './naming.ts'
import { createPastConnections } from './past-connections.ts'
import { createPolicies, type Policies } from './policies.ts'

/** All that keeps pods to their policies: the kernel's rules, who answers their names, and what is told of them. */
export interface Enforcement {
  readonly policies: Policies
  readonly denials: Denials
  readonly flows: Flows
  close(): Promise<void>
}

interface EnforcementContext {
  readonly kernel: Kernel
  readonly firewall: Firewall
  readonly podLinks: PodLinks
  readonly records: {
    read(sandboxId: string): PodRecord | undefined
    named(namespace: string, name: string): PodRecord | undefined
    ids(): string[]
    list(): readonly PodRecord[]
  }
  readonly claims: Claims
  readonly former: FormerAddresses
  readonly peers: Pick<PeerPods, 'all' | 'named'>
  readonly stateDir: string
  readonly log: Logger
  /** Tells the host's listeners. */
  report(event: string, details: EventDetails): void
  /** The name servers that pods' questions are passed on to; empty: the host's own. */
  readonly nameServers: readonly string[]
  /** Whether this process stays. */
  readonly stays: boolean
  networks(): readonly PodNetwork[]
  /** The pod of this node that has an address. */
  podAt(address: string): PodRecord | undefined
}

export function createEnforcement(context: EnforcementContext): Enforcement {
  const { kernel, firewall, podLinks, records, claims, former, peers, stateDir, log, report, podAt } = context
  const hostAddresses = async () =>
    new Set((await kernel.run(addresses.list())).map(({ address }) => address.replace(/\/.*/, '')))
  const nameOf = (sandboxId: string, address: string) => naming.nameOf(sandboxId, address)
  const denials = createDenials({
    log,
    report: (flow) => report(FLOW_DENIED, { ...flow }),
    pods: () => records.list(),
    hostAddresses,
    nameOf,
  })
  const flows = createFlows({
    log,
    report: (event, flow) => report(event, { ...flow }),
    podOf: podAt,
    nameOf,
  })
  const naming = createNaming({
    log,
    servers: context.nameServers,
    stays: context.stays,
    podNamed: records.named,
    podAt,
    peerNamed: peers.named,
    admit: (pod, groups, members) => policies.admit(pod, groups, members),
    denied: denials.note,
  })
  const policies = createPolicies({
    firewall,
    stateDir,
    logGroup: denials.group,
    takeUpLog: denials.takeUp,
    linkOf: (sandboxId) => podLinks.names(sandboxId).host,
    hasLink: kernel.hasLink,
    read: records.read,
    ids: records.ids,
    peers: peers.all,
    past: createPastConnections({
      firewall,
      former,
      networks: () => context.networks().map(formatCidr),
      ownerOf: claims.ownerOf,
      hostAddresses,
    }),
    naming,
  })
  return {
    policies,
    denials,
    flows,
    async close() {
      flows.close()
      await naming.close()
      denials.close()
    },
  }
}
