import { once } from '@podwire/api'
import { isWireguardKey } from '@podwire/netlink'
import * as z from 'zod/mini'

/**
 * By which addresses nodes reach each other: pods of each family by those of their own, on a link of each, or all pods by one link
 * and one family, which is chosen for each node by `auto`.
 */
export type WireguardMode = (typeof wireguardModes)[number]

export const wireguardModes = ['separate', 'auto', 'ipv4', 'ipv6'] as const

/** Encrypted by WireGuard, with a key of each node's own. */
export interface WireguardBackend {
  readonly type: 'wireguard'
  /** UDP, the same on all nodes. */
  readonly port: number
  /** Of the link for IPv6, where that has one of its own. */
  readonly portV6: number
  readonly mode: WireguardMode
  /** In seconds; 0: none. What keeps a translating router from forgetting the way back. */
  readonly keepalive: number
  /** A secret that all nodes share besides, 32 bytes in base64. */
  readonly presharedKey?: string
}

/** What flannel means where nothing is said. */
export const wireguardDefaults = { port: 51_820, portV6: 51_821, mode: 'separate', keepalive: 0 } as const

const schema = once(() => {
  const port = z.optional(z.number().check(z.int(), z.minimum(0), z.maximum(65_535)))
  return z.object({
    ListenPort: port,
    ListenPortV6: port,
    PSK: z.optional(
      z
        .string()
        .check(
          z.refine((text) => text === '' || isWireguardKey(text), { error: 'expected 32 bytes in base64' }),
        ),
    ),
    PersistentKeepaliveInterval: z.optional(z.number().check(z.int(), z.minimum(0), z.maximum(65_535))),
    Mode: z.optional(z.enum(wireguardModes, { error: `expected ${wireguardModes.join(', ')}` })),
  })
})

/** @throws Error that says what is wrong, and shows no secret */
export function parseWireguard(written: object): WireguardBackend {
  const parsed = schema().safeParse(written)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw new Error(`Backend.${issue?.path.join('.')}: ${issue?.message}`)
  }
  const { ListenPort, ListenPortV6, PSK, PersistentKeepaliveInterval, Mode } = parsed.data
  const backend = {
    type: 'wireguard',
    // A port that each kernel chooses for itself is one that no other node knows.
    port: ListenPort || wireguardDefaults.port,
    portV6: ListenPortV6 || wireguardDefaults.portV6,
    mode: Mode ?? wireguardDefaults.mode,
    keepalive: PersistentKeepaliveInterval ?? wireguardDefaults.keepalive,
    ...(PSK === undefined || PSK === '' ? {} : { presharedKey: PSK }),
  } as const
  if (backend.mode === 'separate' && backend.port === backend.portV6)
    throw new Error(
      `Backend.ListenPort and ListenPortV6 are both ${backend.port}: each link needs one of its own`,
    )
  return backend
}

export const formatWireguard = ({ port, portV6, mode, keepalive, presharedKey }: WireguardBackend) => ({
  Type: 'wireguard',
  ListenPort: port,
  ListenPortV6: portV6,
  ...(presharedKey === undefined ? {} : { PSK: presharedKey }),
  PersistentKeepaliveInterval: keepalive,
  Mode: mode,
})
