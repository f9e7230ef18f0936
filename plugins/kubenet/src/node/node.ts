import {
  type EventDetails,
  errnoOf,
  type Host,
  type InitOptions,
  type Logger,
  messageOf,
  USE_DEFAULT_MTU,
} from '@podwire/api'
import { createBridgeDatapath } from '../datapath/bridge/bridge-datapath.ts'
import { createBridgeOwner } from '../datapath/bridge/bridge-owner.ts'
import type { DatapathName } from '../datapath/datapath.ts'
import { createDatapaths } from '../datapath/datapaths.ts'
import { createRoutedDatapath } from '../datapath/routed/routed-datapath.ts'
import { errors } from '../errors.ts'
import { openFirewall } from '../firewall/firewall.ts'
import { type Allocator, createAllocator } from '../ipam/allocator.ts'
import { contains, formatCidr } from '../ipam/cidr.ts'
import { openClaims } from '../ipam/claims.ts'
import { openFormerAddresses } from '../ipam/former-addresses.ts'
import { type PodNetwork, parseDirectRanges, parsePodCidrs } from '../ipam/network.ts'
import { hasIpv6, IPV6_LEAST_MTU } from '../kernel/ipv6.ts'
import { openKernel } from '../kernel/kernel.ts'
import { ensureSysctls, sysctlDifferences } from '../kernel/sysctls.ts'
import type { KubenetOptions } from '../options.ts'
import { createPodLinks } from '../ownership/pod-links.ts'
import { openStateId } from '../ownership/state-id.ts'
import { createPeerChanges } from '../peers/peer-changes.ts'
import { openPeerPods } from '../peers/peer-pods.ts'
import { isNetnsOf, publishedPorts } from '../pod-record.ts'
import type { PodContext, SetUpContext } from '../pods/context.ts'
import { openRecords } from '../pods/records.ts'
import { createEnforcement } from '../policy/enforcement.ts'
import { createHostPorts } from '../ports/host-ports.ts'
import { conflictWith } from './conflicts.ts'
import { AUTO, openChosenCidr } from './free-cidr.ts'
import { defaultMtu } from './mtu.ts'
import { planShared } from './plan.ts'
import { openRepairMark, type RepairMark } from './repair-mark.ts'
import { routerAdvertisements } from './sysctls.ts'

/** This machine's side of the pod network: what all pods share. Nothing of it is made before a pod wants it. */
export interface Node extends PodContext {
  /** Takes a pod CIDR; pods of an earlier one keep theirs. Looks whether it can be used, and makes nothing. */
  setPodCidr(podCidr: string): Promise<void>
  /** Takes what the host tells of other nodes' pods, and has policies go by it. @throws PodwireError `PEER_PODS_INVALID` */
  changePeers(details: EventDetails): Promise<void>
  /** Looks, and touches nothing. @throws PodwireError: why pods can't be set up */
  check(): Promise<void>
  readonly repairMark: RepairMark
  /** Whether the network was made by this process. */
  readonly isBuilt: boolean
  /** Makes the network for the pod CIDR, or what is missing of it; what that was, each in a phrase. */
  build(): Promise<readonly string[]>
  /** Whether what was made is still there, as far as that is seen in some ten microseconds. */
  isIntact(): Promise<boolean>
  /** After pods were torn down: takes away what only pods of an earlier pod CIDR or data path needed, when they were the last ones. */
  dropEarlierNetworks(): Promise<void>
  /** In what that which pods share is not as it should be, each in a phrase. Looks, and touches nothing. */
  differences(): Promise<readonly string[]>
  /** Takes away all that was made; sysctls stay. @throws PodwireError `PODS_LEFT` */
  reset(): Promise<void>
  /** What setting pods up takes. @throws PodwireError: why that isn't there */
  forSetUp(): SetUpContext
  close(): Promise<void>
}

export interface NodeInit {
  readonly options: KubenetOptions
  readonly stateDir: string
  readonly log: Logger
  readonly host: Host
  readonly init: InitOptions
}

/** @throws PodwireError `INVALID_NON_MASQUERADE_CIDR`; NetlinkError `ERR_NETLINK_UNAVAILABLE` on other platforms */
export function openNode({ options, stateDir, log, host, init }: NodeInit): Node {
  const direct = parseDirectRanges(init.nonMasqueradeCIDR)
  const stateId = openStateId(stateDir)
  const podLinks = createPodLinks(stateId.get)
  const kernel = openKernel()
  const chosenCidr = openChosenCidr(kernel, stateDir)
  const records = openRecords(stateDir)
  const former = openFormerAddresses(stateDir)
  const claims = openClaims(stateDir, former)
  const peers = openPeerPods(stateDir, log)
  const firewall = openFirewall(
    // So that hosts of one machine leave each other's alone.
    () => `podwire-${stateId.get().slice(0, 8)}`,
    () => publishedPorts(records.list()),
    (table) => enforcement.policies.rebuilt(table),
    (table) => enforcement.policies.shut(table),
  )
  const enforcement = createEnforcement({
    ...{ kernel, firewall, podLinks, records, claims, former, peers, stateDir, log },
    report: (event, details) => host.report(event, details),
    nameServers: options.nameServers,
    stays: init.resident !== false,
    networks: () => networks,
    podAt: (address) => podOf(claims.ownerOf(address) ?? ''),
  })
  const { policies, denials, flows } = enforcement
  const isInNetworks = (address: string) => networks.some((network) => contains(network, address))
  const peerChanges = createPeerChanges({ peers, isOwn: isInNetworks, exchange: policies.exchangePeers })
  const podsOf = (name: DatapathName) => records.list().filter(({ datapath }) => datapath === name)
  const owner = createBridgeOwner(kernel, stateId, stateDir, () => podsOf('bridge').length)
  const bridge = createBridgeDatapath(kernel, podLinks, owner, { ...options, hairpinMode: init.hairpinMode })
  const routed = createRoutedDatapath(kernel, podLinks, stateDir, former.forgetSweeps)
  const datapath = createDatapaths(options.datapath, { routed, bridge }, podsOf)
  const hostPorts = createHostPorts(firewall, livingOwner)
  let networks: readonly PodNetwork[] = []
  let mtu: number = init.mtu
  let allocator: Allocator | undefined
  let problem: unknown = errors.POD_CIDR_UNKNOWN()
  let isBuilt = false
  let areRulesLost = false
  let hasStaleNetwork = false
  let warned: ReadonlySet<string> = new Set()
  // Many set-ups may find at once that something is missing.
  let building: Promise<readonly string[]> | undefined

  function livingOwner(address: string) {
    const sandboxId = claims.ownerOf(address)
    const record = podOf(sandboxId ?? '')
    return record && isNetnsOf(record) ? record : undefined
  }

  function podOf(sandboxId: string) {
    try {
      return records.read(sandboxId)
    } catch {
      return undefined
    }
  }

  async function setPodCidr(podCidr: string) {
    // What is no pod CIDR takes none away that is there.
    if (podCidr !== AUTO && allocator) parsePodCidrs(podCidr)
    try {
      networks = parsePodCidrs(podCidr === AUTO ? await chosenCidr.choose() : podCidr)
      mtu = init.mtu === USE_DEFAULT_MTU ? await defaultMtu(kernel) : init.mtu
      if (networks.some(({ family }) => family === 6)) {
        if (!hasIpv6()) throw errors.IPV6_UNAVAILABLE({ podCidr })
        if (mtu < IPV6_LEAST_MTU) throw errors.MTU_TOO_SMALL({ mtu, least: IPV6_LEAST_MTU })
      }
      await look()
      allocator = createAllocator(networks, options.exclude, claims, podOf)
      problem = undefined
      isBuilt = false
    } catch (error) {
      problem = error
      allocator = undefined
      throw error
    }
  }

  async function look() {
    await datapath.inspect()
    const inTheWay = await conflictWith(kernel, networks, datapath.isOwn)
    if (inTheWay) throw errors.POD_CIDR_IN_USE({ podCidr: networks.map(formatCidr).join(), inTheWay })
  }

  const planned = () =>
    planShared({
      ...{ networks, claims, podOf, direct },
      hairpinMode: init.hairpinMode,
      connections: options.connections,
    })

  async function build(): Promise<readonly string[]> {
    stateId.keep()
    chosenCidr.keep()
    const plan = planned()
    const { repaired, refused, taken, duplicatesFrom } = await datapath.ensure({ ...plan, mtu })
    const forwarding = ensureSysctls([...routerAdvertisements(plan.families), ...plan.forwarding])
    areRulesLost = !(await ensureRules()) || areRulesLost
    firewall.apply(plan.firewall(duplicatesFrom))
    // After the rules, which keep pods from the host's own services.
    const loopback = await datapath.routeLoopback(firewall.problem === undefined)
    allocator?.reserve(taken)
    warn([...refused, ...forwarding.refused, ...loopback])
    const lost = areRulesLost ? ['firewall rules'] : []
    areRulesLost = false
    isBuilt = true
    const made = [...repaired, ...forwarding.repaired, ...lost]
    log.debug('kubenet: what all pods share', { made })
    return made
  }

  /** False when the rules had to be made anew. */
  async function ensureRules(): Promise<boolean> {
    try {
      return firewall.ensure()
    } catch {
      // Without its guard the way to the host's loopback is closed; why there is none is told when the rules are applied.
      await datapath.routeLoopback(false)
      return false
    }
  }

  function warn(refused: readonly string[]) {
    const reasons = refused.map((reason) => `kubenet: ${reason}`)
    if (firewall.problem)
      reasons.push(`kubenet masquerades nothing and publishes no host ports: ${firewall.problem}`)
    // Once each, however often the network is repaired.
    for (const reason of reasons) if (!warned.has(reason)) log.warn(reason)
    warned = new Set(reasons)
  }

  return {
    kernel,
    datapath,
    podLinks,
    firewall,
    hostPorts,
    policies,
    flows,
    logGroup: denials.group,
    tellDenied: denials.tell,
    records,
    claims,
    log,
    report: (event, details) => host.report(event, details),
    published() {
      try {
        return firewall.problem ? [] : firewall.compare([]).leftover
      } catch (error) {
        // There are no tables.
        if (errnoOf(error) === 'ENOENT') return []
        throw error
      }
    },
    releaseAddress(address, sandboxId) {
      if (allocator) allocator.release(address, sandboxId)
      else claims.release(address, sandboxId)
      if (!isInNetworks(address)) hasStaleNetwork = true
    },
    repairMark: openRepairMark(stateDir),
    setPodCidr,
    changePeers: peerChanges.apply,
    async check() {
      if (problem) throw problem
      if (firewall.cutOff !== undefined) throw errors.POLICIES_CUT_OFF({ reason: firewall.cutOff })
      records.checkWritable()
      await look()
    },
    get isBuilt() {
      return isBuilt
    },
    build() {
      building ??= build().finally(() => {
        building = undefined
      })
      return building
    },
    async isIntact() {
      if (!isBuilt) return false
      areRulesLost = !(await ensureRules()) || areRulesLost
      return !areRulesLost && (await datapath.isIntact())
    },
    async differences() {
      if (problem !== undefined) return []
      // What this process made it sees at once; what an earlier one made it looks at, all of it.
      if (isBuilt && firewall.isIntact() && (await datapath.isIntact())) return []
      const plan = planned()
      const { differences, duplicatesFrom } = await datapath.compare({ ...plan, mtu })
      const areRulesThere = firewall.isIntact(plan.firewall(duplicatesFrom))
      return [
        ...differences,
        ...sysctlDifferences(plan.forwarding),
        ...(areRulesThere ? [] : ['the firewall rules are gone, or not those of this configuration']),
      ]
    },
    async dropEarlierNetworks() {
      if (problem !== undefined || !(hasStaleNetwork || datapath.hasLeftovers())) return
      hasStaleNetwork = false
      try {
        if (datapath.isThere()) await this.build()
      } catch (error) {
        // The pod is gone all the same, and the next set-up builds anew.
        log.warn(`kubenet could not take away what no pod needs any more: ${messageOf(error)}`)
      }
    },
    async reset() {
      const pods = records.ids().length
      if (pods > 0) throw errors.PODS_LEFT({ stateDir, pods })
      await datapath.remove()
      if (firewall.problem === undefined) firewall.remove()
      isBuilt = false
    },
    forSetUp() {
      if (!allocator) throw problem
      return { ...this, allocator, mtu }
    },
    async close() {
      await enforcement.close()
      kernel.close()
      claims.close()
      firewall.close()
    },
  }
}
