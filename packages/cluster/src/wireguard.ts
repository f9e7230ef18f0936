import type { NodeValue } from './layout/lease-value.ts'
import type { ClusterNetwork } from './layout/network.ts'
import type { WireguardBackend } from './layout/wireguard-backend.ts'
import { mustHaveWireguard } from './routes/tunnels.ts'
import type { Underlay } from './routes/underlay.ts'
import type { Peer, Self, Wanted } from './routes/wanted.ts'
import { ensureWireguardKey, readWireguardKey, type WireguardKey } from './routes/wireguard-key.ts'
import { wantedByWireguard } from './routes/wireguard-wanted.ts'

/** This node's part in a network that is encrypted by WireGuard; nothing where it is not. */
export interface WireguardNode {
  /** Before it joins: its kernel can do it, and it has a key. @throws PodwireError `WIREGUARD_UNAVAILABLE` */
  prepare(network: ClusterNetwork): Promise<void>
  /** What the others are told of it. */
  describe(network: ClusterNetwork): Pick<NodeValue, 'publicKey' | 'publicKey6'>
  wanted(self: Self, peers: Iterable<Peer>, backend: WireguardBackend, underlay: Underlay): Wanted
}

export function createWireguardNode(stateDir: string): WireguardNode {
  let key: WireguardKey | undefined
  const mustHaveKey = () => {
    key ??= ensureWireguardKey(stateDir)
    return key
  }
  return {
    async prepare({ backend }) {
      if (backend.type !== 'wireguard') return
      await mustHaveWireguard()
      mustHaveKey()
    },
    describe({ backend, ipv4, ipv6 }) {
      if (backend.type !== 'wireguard') return {}
      key ??= readable(stateDir)
      if (!key) return {}
      const { publicKey } = key
      // The links of both families have one key, as flannel's have.
      return { ...(ipv4 ? { publicKey } : {}), ...(ipv6 ? { publicKey6: publicKey } : {}) }
    },
    wanted: (self, peers, backend, underlay) =>
      wantedByWireguard(self, peers, backend, underlay, mustHaveKey()),
  }
}

/** What can't be read is told when it is needed. */
function readable(stateDir: string): WireguardKey | undefined {
  try {
    return readWireguardKey(stateDir)
  } catch {
    return undefined
  }
}
