import { messageOf, once } from '@podwire/api'
import * as z from 'zod/mini'
import { parseJson } from './parse-json.ts'
import { formatSubnet, isWithin, parseSubnet, type Subnet, sizeOf, subnetAt } from './range.ts'
import { formatWireguard, parseWireguard, type WireguardBackend } from './wireguard-backend.ts'

/** How packets come from node to node: straight over a link that both share, in vxlan, or encrypted by WireGuard. */
export type Backend = PlainBackend | WireguardBackend

/** One that needs no more of another node than its addresses and its name. */
export type PlainBackend =
  | { readonly type: 'host-gw' }
  | {
      readonly type: 'vxlan'
      readonly vni: number
      readonly port: number
      /** Nodes on one link need no vxlan between them. */
      readonly directRouting: boolean
    }

/** One family's part of the network, and which subnets nodes get of it. */
export interface FamilyNetwork {
  readonly network: Subnet
  /** Of each node's subnet. */
  readonly subnetLength: number
  /** The first and the last subnet that a node may get. */
  readonly min: Subnet
  readonly max: Subnet
}

/** The network that all nodes share: the key `PREFIX/config`. */
export interface ClusterNetwork {
  readonly ipv4?: FamilyNetwork
  readonly ipv6?: FamilyNetwork
  readonly backend: Backend
}

/** What flannel means where nothing is said, and what Linux doesn't: its vxlan port is 4789 elsewhere. */
export const vxlanDefaults = { vni: 1, port: 8472, directRouting: false } as const

const schema = once(() => {
  const length = z.optional(z.number())
  const text = z.optional(z.string())
  // Others may write more into it than is used here.
  return z.object({
    Network: text,
    IPv6Network: text,
    EnableIPv4: z.optional(z.boolean()),
    EnableIPv6: z.optional(z.boolean()),
    SubnetLen: length,
    SubnetMin: text,
    SubnetMax: text,
    IPv6SubnetLen: length,
    IPv6SubnetMin: text,
    IPv6SubnetMax: text,
    Backend: z.optional(
      z.object({
        Type: z.optional(z.string()),
        VNI: z.optional(z.number().check(z.int(), z.minimum(0), z.maximum(2 ** 24 - 1))),
        Port: z.optional(z.number().check(z.int(), z.minimum(0), z.maximum(65_535))),
        DirectRouting: z.optional(z.boolean()),
        ListenPort: z.optional(z.unknown()),
        ListenPortV6: z.optional(z.unknown()),
        PSK: z.optional(z.unknown()),
        PersistentKeepaliveInterval: z.optional(z.unknown()),
        Mode: z.optional(z.unknown()),
      }),
    ),
  })
})

type Written = z.output<ReturnType<typeof schema>>

/** Reads the value of `PREFIX/config`. A string says what is wrong with it. */
export function parseNetwork(value: string): ClusterNetwork | string {
  const parsed = parseJson(schema(), value)
  if (typeof parsed === 'string') return parsed
  try {
    return networkOf(parsed.data)
  } catch (problem) {
    return messageOf(problem)
  }
}

function networkOf(written: Written): ClusterNetwork {
  const { EnableIPv4 = true, EnableIPv6 = false } = written
  const ipv4 = EnableIPv4
    ? familyOf(4, 'Network', written.Network, written.SubnetLen, written.SubnetMin, written.SubnetMax)
    : undefined
  const ipv6 = EnableIPv6
    ? familyOf(
        6,
        'IPv6Network',
        written.IPv6Network,
        written.IPv6SubnetLen,
        written.IPv6SubnetMin,
        written.IPv6SubnetMax,
      )
    : undefined
  if (!ipv4 && !ipv6) throw new Error('neither EnableIPv4 nor EnableIPv6 holds')
  return { ...(ipv4 ? { ipv4 } : {}), ...(ipv6 ? { ipv6 } : {}), backend: backendOf(written.Backend) }
}

function backendOf(written: NonNullable<Written['Backend']> = {}): Backend {
  const { Type, VNI, Port, DirectRouting } = written
  if (Type === 'host-gw') return { type: 'host-gw' }
  if (Type === 'wireguard') return parseWireguard(written)
  if (Type === 'vxlan') {
    return {
      type: 'vxlan',
      vni: VNI ?? vxlanDefaults.vni,
      // Flannel leaves it to the kernel, whose own choice is this one.
      port: Port || vxlanDefaults.port,
      directRouting: DirectRouting ?? vxlanDefaults.directRouting,
    }
  }
  throw new Error(
    `Backend.Type is ${JSON.stringify(Type)}, and Podwire has "vxlan", "host-gw" and "wireguard"`,
  )
}

function familyOf(
  family: 4 | 6,
  key: string,
  text: string | undefined,
  length: number | undefined,
  minText: string | undefined,
  maxText: string | undefined,
): FamilyNetwork {
  const network = text === undefined ? undefined : parseSubnet(text)
  if (network?.family !== family)
    throw new Error(`${key} is ${JSON.stringify(text)}, not an IPv${family} CIDR`)
  const subnetLength = length || defaultLength(network)
  const longest = family === 4 ? 30 : 126
  if (!Number.isInteger(subnetLength) || subnetLength <= network.prefixLength || subnetLength > longest)
    throw new Error(
      `the subnets of ${formatSubnet(network)} can't have the length ${subnetLength}: give one from ${network.prefixLength + 1} to ${longest}`,
    )
  const size = sizeOf(subnetLength, family)
  const bound = (written: string | undefined, fallback: bigint) => {
    if (written === undefined || written === '') return subnetAt(fallback, subnetLength, family)
    const subnet = parseSubnet(`${written}/${subnetLength}`)
    if (!subnet || !isWithin(subnet, network))
      throw new Error(`${JSON.stringify(written)} is not an address of ${text}`)
    return subnet
  }
  // The first subnet has the network's own address, and flannel gives it to no node.
  const min = bound(minText, network.first + size)
  const max = bound(maxText, network.last)
  if (min.first > max.first) throw new Error('its first subnet comes after its last')
  return { network, subnetLength, min, max }
}

// Flannel's: a /24 or a /64 where that fits in, else a quarter.
function defaultLength({ family, prefixLength }: Subnet): number {
  const usual = family === 4 ? 24 : 64
  return prefixLength < usual ? usual : prefixLength + 2
}

/** The networks of both families, as they are written: `10.244.0.0/16`. */
export const networksOf = (network: Pick<ClusterNetwork, 'ipv4' | 'ipv6'>): readonly string[] =>
  rangesOf(network).map(formatSubnet)

/** The same as ranges: what all nodes' subnets are of. */
export const rangesOf = ({ ipv4, ipv6 }: Pick<ClusterNetwork, 'ipv4' | 'ipv6'>): readonly Subnet[] =>
  [ipv4, ipv6].flatMap((family) => (family ? [family.network] : []))

/** What is to be written into `PREFIX/config`. */
export interface NewNetwork {
  readonly network?: string
  readonly ipv6Network?: string
  readonly subnetLength?: number
  readonly ipv6SubnetLength?: number
  readonly backend: Backend
}

/** The value of `PREFIX/config`. See {@link parseNetwork}, which says what is wrong with it. */
export function formatNetwork({
  network,
  ipv6Network,
  subnetLength,
  ipv6SubnetLength,
  backend,
}: NewNetwork): string {
  return JSON.stringify({
    ...(network === undefined ? { EnableIPv4: false } : { Network: network }),
    ...(subnetLength === undefined ? {} : { SubnetLen: subnetLength }),
    ...(ipv6Network === undefined ? {} : { EnableIPv6: true, IPv6Network: ipv6Network }),
    ...(ipv6SubnetLength === undefined ? {} : { IPv6SubnetLen: ipv6SubnetLength }),
    Backend: formatBackend(backend),
  })
}

function formatBackend(backend: Backend): object {
  switch (backend.type) {
    case 'host-gw':
      return { Type: 'host-gw' }
    case 'vxlan':
      return { Type: 'vxlan', VNI: backend.vni, Port: backend.port, DirectRouting: backend.directRouting }
    case 'wireguard':
      return formatWireguard(backend)
  }
}

/** The value of `PREFIX/config` as it may be shown: without what is secret in it. */
export const withoutSecrets = (value: string) => value.replace(/("PSK"\s*:\s*)"(?:[^"\\]|\\.)*"/g, '$1"…"')
