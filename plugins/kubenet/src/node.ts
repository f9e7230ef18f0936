import { type HairpinMode, type InitOptions, USE_DEFAULT_MTU } from '@podwire/api'
import { type Netlink, openNetlink, readSysctl } from '@podwire/netlink'
import { type BridgePlan, type BridgeState, defaultMtu, ensureBridge } from './datapath/bridge.ts'
import type { Courier } from './datapath/courier.ts'
import { LINK_PREFIX } from './datapath/names.ts'
import { createReaper, type Reaper } from './datapath/reaper.ts'
import { IPV6_LEAST_MTU } from './datapath/silence.ts'
import { mtuTooSmall, nonMasqueradeCidrInvalid } from './errors.ts'
import { type Firewall, openFirewall } from './firewall/firewall.ts'
import { createHostPorts, type HostPorts } from './host-ports/host-ports.ts'
import { portElements } from './host-ports/port-elements.ts'
import { type Allocator, createAllocator } from './ipam/allocator.ts'
import { type AddressRange, contains, parseCidr } from './ipam/cidr.ts'
import { type PodNetwork, parsePodCidrs } from './ipam/network.ts'
import type { KubenetOptions } from './options.ts'
import { isNetnsOf, openRecords, type PodRecord, type Records } from './records.ts'

/** This machine's side of the pod network: what all pods share. */
export interface Node {
  readonly netlink: Netlink
  readonly firewall: Firewall
  readonly reaper: Reaper
  readonly courier: Courier
  readonly records: Records
  readonly hostPorts: HostPorts
  /** Whether a bridge port sends a frame back to the pod it came from. */
  readonly hairpin: boolean
  /** In bytes; of the bridge, and of pods from now on. */
  readonly mtu: number
  readonly bridgeIndex: number
  /** Undefined until there is a pod CIDR, and while the network could not be built for it. */
  readonly allocator: Allocator | undefined
  /** Why the network could not be built. */
  readonly problem: unknown
  /** Settings that could not be made, each in a sentence. */
  readonly refused: readonly string[]
  /** Builds the network; pods of an earlier pod CIDR keep theirs. */
  setPodCidr(podCidr: string): Promise<void>
  /** Puts back what is missing of bridge and rules; what that was. */
  restore(): Promise<string[]>
  releaseAddress(address: string, sandboxId: string): void
  close(): void
}

interface Context {
  readonly options: KubenetOptions
  readonly stateDir: string
}

/** @throws PodwireError `INVALID_NON_MASQUERADE_CIDR`; NetlinkError `ERR_NETLINK_UNAVAILABLE` on other platforms */
export function openNode({ options, stateDir }: Context, init: InitOptions): Node {
  const direct = directRanges(init.nonMasqueradeCIDR)
  const netlink = openNetlink()
  const records = openRecords(stateDir)
  const firewall = openFirewall(() => records.list().flatMap(portElements))
  const reaper = createReaper(netlink)
  const hostPorts = createHostPorts(firewall, livingOwner)
  const isPromiscuous = init.hairpinMode === 'promiscuous-bridge'
  let networks: readonly PodNetwork[] = []
  let mtu: number = init.mtu
  let hairpin = needsHairpin(init.hairpinMode)
  let allocator: Allocator | undefined
  let problem: unknown
  // Many set-ups may find at once that something is missing.
  let restoring: Promise<string[]> | undefined
  let bridge: BridgeState = { index: 0, mac: '', repaired: [], refused: [] }

  function livingOwner(address: string): PodRecord | undefined {
    const sandboxId = records.ownerOf(address)
    const record = sandboxId === undefined ? undefined : records.read(sandboxId)
    return record && isNetnsOf(record) ? record : undefined
  }

  async function setPodCidr(podCidr: string) {
    try {
      networks = parsePodCidrs(podCidr)
      mtu = init.mtu === USE_DEFAULT_MTU ? await defaultMtu(netlink, reaper.courier) : init.mtu
      if (mtu < IPV6_LEAST_MTU && networks.some(({ family }) => family === 6))
        throw mtuTooSmall(mtu, IPV6_LEAST_MTU)
      await build()
      allocator = createAllocator(networks, options.exclude, records)
      problem = undefined
    } catch (error) {
      problem = error
      allocator = undefined
      throw error
    }
  }

  async function build() {
    const all = [...networks, ...earlierNetworks(networks, records)]
    const plan: BridgePlan = {
      name: options.bridge,
      mtu,
      promiscuous: isPromiscuous,
      addresses: all.map((network) => ({ gateway: network.gateway, network })),
    }
    hairpin = needsHairpin(init.hairpinMode)
    bridge = await ensureBridge(netlink, reaper.courier, plan)
    firewall.apply({
      linkPrefix: LINK_PREFIX,
      networks: all,
      direct,
      dropDuplicatesFrom: isPromiscuous ? bridge.mac : undefined,
    })
  }

  async function restore(): Promise<string[]> {
    if (networks.length === 0) return []
    const isIntact = firewall.ensure()
    await build()
    return isIntact ? [...bridge.repaired] : [...bridge.repaired, 'firewall rules']
  }

  return {
    netlink,
    firewall,
    reaper,
    courier: reaper.courier,
    records,
    hostPorts,
    get hairpin() {
      return hairpin
    },
    get mtu() {
      return mtu
    },
    get bridgeIndex() {
      return bridge.index
    },
    get allocator() {
      return allocator
    },
    get problem() {
      return problem
    },
    get refused() {
      return bridge.refused
    },
    setPodCidr,
    async restore() {
      restoring ??= restore().finally(() => {
        restoring = undefined
      })
      return restoring
    },
    releaseAddress(address, sandboxId) {
      if (allocator) allocator.release(address, sandboxId)
      else records.release(address, sandboxId)
    },
    close() {
      netlink.close()
      records.close()
      firewall.close()
      reaper.close()
    },
  }
}

/**
 * A promiscuous bridge is enough where packets between ports of a bridge are none of the firewall's business. Where they
 * are, the kernel (since 6.9) forgets the connection of the copy that the bridge itself gets: the port must turn it round.
 */
function needsHairpin(mode: HairpinMode): boolean {
  if (mode !== 'promiscuous-bridge') return mode === 'hairpin-veth'
  try {
    return ['iptables', 'ip6tables'].some((table) => readSysctl(`net/bridge/bridge-nf-call-${table}`) === '1')
  } catch {
    return false
  }
}

/** Networks that pods were given addresses of before the pod CIDR changed. */
function earlierNetworks(networks: readonly PodNetwork[], records: Records): PodNetwork[] {
  const earlier = new Map<string, PodNetwork>()
  for (const address of records.claimed()) {
    if (networks.some((network) => contains(network, address))) continue
    const sandboxId = records.ownerOf(address)
    const record = sandboxId === undefined ? undefined : records.read(sandboxId)
    const own = record?.addresses.find((candidate) => candidate.address === address)
    const cidr = own && parseCidr(`${own.address}/${own.prefixLength}`)
    if (own && cidr) earlier.set(own.gateway, { ...cidr, gateway: own.gateway })
  }
  return [...earlier.values()]
}

/** The destinations that see pods' own addresses; undefined: all, as of 0.0.0.0/0 and ::/0. */
function directRanges(nonMasqueradeCIDR: string): AddressRange[] | undefined {
  const parts = nonMasqueradeCIDR.split(',').map((part) => part.trim())
  const ranges = parts.filter(Boolean).map((part) => {
    const cidr = parseCidr(part)
    if (!cidr) throw nonMasqueradeCidrInvalid(nonMasqueradeCIDR)
    return cidr
  })
  return ranges.some(({ prefixLength }) => prefixLength === 0) ? undefined : ranges
}
