import type { EventDetails, Logger } from '@podwire/api'
import type { Datapaths } from '../datapath/datapaths.ts'
import type { Firewall } from '../firewall/firewall.ts'
import type { PortElement } from '../firewall/port-elements.ts'
import type { Allocator } from '../ipam/allocator.ts'
import type { Claims } from '../ipam/claims.ts'
import type { Kernel } from '../kernel/kernel.ts'
import type { PodLinks } from '../ownership/pod-links.ts'
import type { Flows } from '../policy/flows.ts'
import type { Policies } from '../policy/policies.ts'
import type { HostPorts } from '../ports/host-ports.ts'
import type { Records } from './records.ts'

/** What is done to pods is done with these. */
export interface PodContext {
  readonly kernel: Kernel
  readonly datapath: Datapaths
  readonly podLinks: PodLinks
  readonly firewall: Firewall
  readonly hostPorts: HostPorts
  readonly policies: Policies
  readonly flows: Flows
  /** The nflog group that this process is told of what policies deny. */
  logGroup(): number
  /** Tells what policies denied until now. */
  tellDenied(): Promise<void>
  readonly records: Records
  readonly log: Logger
  /** Tells the host's listeners. */
  report(event: string, details: EventDetails): void
  readonly claims: Claims
  /** All ports that are published, of whomever. */
  published(): readonly PortElement[]
  releaseAddress(address: string, sandboxId: string): void
}

/** What setting a pod up takes besides: it is there when the node is ready. */
export interface SetUpContext extends PodContext {
  readonly allocator: Allocator
  /** In bytes, of pods from now on. */
  readonly mtu: number
}
