import type {
  WireguardChanges,
  WireguardDevice,
  WireguardEndpoint,
  WireguardPeerChange,
} from '@podwire/netlink'
import type { WireguardKey } from './wireguard-key.ts'

/** What WireGuard should have of a link. */
export interface WantedTunnel {
  /** Of the link. */
  readonly name: string
  readonly port: number
  readonly key: WireguardKey
  /** A secret that all nodes share, in base64. */
  readonly presharedKey?: string
  /** Seconds; 0: none. */
  readonly keepalive: number
  /** By public key. */
  readonly peers: ReadonlyMap<string, WantedTunnelPeer>
}

interface WantedTunnelPeer {
  readonly endpoint: WireguardEndpoint
  /** The subnets of its pods. */
  readonly allowedIps: readonly string[]
}

/** What WireGuard has of a link, as it is or as it was left last. */
export interface TunnelState {
  readonly publicKey?: string
  readonly port: number
  /** By public key. */
  readonly peers: ReadonlyMap<string, TunnelPeerState>
}

interface TunnelPeerState {
  readonly endpoint?: WireguardEndpoint
  readonly allowedIps: readonly string[]
  readonly presharedKey?: string
  readonly keepalive: number
}

/** WireGuard makes new keys every two minutes, and takes none that are older than this. Milliseconds. */
const staleMs = 180_000

/**
 * What the kernel tells, beside what it was left with. Where a peer answers from another address than it was said to have, as behind a
 * router that translates, the kernel sends to that one, and must go on.
 * @param now milliseconds since 1970
 */
export function tunnelState(
  { publicKey, listenPort, peers }: WireguardDevice,
  before: TunnelState | undefined,
  now: number,
): TunnelState {
  return {
    ...(publicKey === undefined ? {} : { publicKey }),
    port: listenPort,
    peers: new Map(
      peers.map(
        ({ publicKey: key, endpoint, allowedIps, presharedKey, persistentKeepalive, lastHandshake }) => {
          const answers = lastHandshake !== undefined && now - lastHandshake < staleMs
          const known = (answers ? before?.peers.get(key)?.endpoint : undefined) ?? endpoint
          return [
            key,
            {
              ...(known === undefined ? {} : { endpoint: known }),
              allowedIps,
              keepalive: persistentKeepalive,
              ...(presharedKey === undefined ? {} : { presharedKey }),
            },
          ]
        },
      ),
    ),
  }
}

export interface TunnelDifferences {
  /** Undefined: none. */
  readonly changes: WireguardChanges | undefined
  readonly after: TunnelState
  /** What there is to do, each in a phrase. */
  readonly phrases: readonly string[]
}

export function compareTunnel(wanted: WantedTunnel, is: TunnelState): TunnelDifferences {
  const { name, port, key, presharedKey, keepalive } = wanted
  const hasKey = is.publicKey === key.publicKey
  const hasPort = is.port === port
  const leaves = [...is.peers].filter(([publicKey]) => !wanted.peers.has(publicKey))
  const comes = [...wanted.peers].filter(
    ([publicKey, peer]) => !isSame(is.peers.get(publicKey), peer, wanted),
  )
  // Who had the addresses before loses them before another has them.
  const peers: WireguardPeerChange[] = [
    ...leaves.map(([publicKey]) => ({ publicKey, remove: true })),
    ...comes.map(([publicKey, { endpoint, allowedIps }]) => ({
      publicKey,
      presharedKey: presharedKey ?? null,
      persistentKeepalive: keepalive,
      replaceAllowedIps: true,
      allowedIps,
      // The same again would take a peer's own address from it, from which it may have spoken since.
      ...(isSameEndpoint(is.peers.get(publicKey)?.endpoint, endpoint) ? {} : { endpoint }),
    })),
  ]
  const phrases = [
    ...(hasKey ? [] : [`set key of link ${name}`]),
    ...(hasPort ? [] : [`set port of link ${name}`]),
    ...leaves.map(
      ([publicKey, { allowedIps }]) => `delete peer ${nameOf(publicKey, allowedIps)} of link ${name}`,
    ),
    ...comes.map(
      ([publicKey, { allowedIps }]) => `set peer ${nameOf(publicKey, allowedIps)} of link ${name}`,
    ),
  ]
  const changes = {
    ...(hasKey ? {} : { privateKey: key.privateKey() }),
    ...(hasPort ? {} : { listenPort: port }),
    ...(peers.length === 0 ? {} : { peers }),
  }
  return {
    changes: phrases.length === 0 ? undefined : changes,
    after: {
      publicKey: key.publicKey,
      port,
      peers: new Map(
        [...wanted.peers].map(([publicKey, peer]) => [
          publicKey,
          { ...peer, keepalive, ...(presharedKey === undefined ? {} : { presharedKey }) },
        ]),
      ),
    },
    phrases,
  }
}

const nameOf = (publicKey: string, allowedIps: readonly string[]) => allowedIps.join() || publicKey

function isSame(
  is: TunnelPeerState | undefined,
  { endpoint, allowedIps }: WantedTunnelPeer,
  { presharedKey, keepalive }: WantedTunnel,
): boolean {
  return (
    is !== undefined &&
    is.presharedKey === presharedKey &&
    is.keepalive === keepalive &&
    isSameEndpoint(is.endpoint, endpoint) &&
    is.allowedIps.length === allowedIps.length &&
    allowedIps.every((one) => is.allowedIps.includes(one))
  )
}

const isSameEndpoint = (one: WireguardEndpoint | undefined, other: WireguardEndpoint) =>
  one?.address === other.address && one.port === other.port
