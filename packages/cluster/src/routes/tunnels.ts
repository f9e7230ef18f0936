import { release } from 'node:os'
import { errnoOf } from '@podwire/api'
import {
  families,
  type GenericFamily,
  NETLINK_GENERIC,
  type Netlink,
  openNetlink,
  wireguard,
} from '@podwire/netlink'
import { errors } from '../errors.ts'
import { compareTunnel, type TunnelState, tunnelState, type WantedTunnel } from './tunnel.ts'

/** What WireGuard has of this node's links. */
export interface Tunnels {
  /**
   * Makes it have what is wanted of links that are there, and says what it did, each in a phrase.
   * @param isLook the kernel is read first; else what differs from what it was left with is asked for
   * @throws PodwireError `WIREGUARD_UNAVAILABLE`
   */
  ensure(wanted: readonly WantedTunnel[], isLook: boolean): Promise<readonly string[]>
  close(): void
}

export function openTunnels(): Tunnels {
  let generic: Netlink | undefined
  let family: GenericFamily | undefined
  const believed = new Map<string, TunnelState>()

  async function ensureOne(wanted: WantedTunnel, isLook: boolean): Promise<readonly string[]> {
    const { name } = wanted
    generic ??= openNetlink({ protocol: NETLINK_GENERIC })
    const before = believed.get(name)
    // What was done of it is not known, if it fails.
    believed.delete(name)
    try {
      family ??= await findWireguard(generic)
      const is =
        before && !isLook
          ? before
          : tunnelState(await generic.run(wireguard.get(family, name)), before, Date.now())
      const { changes, after, phrases } = compareTunnel(wanted, is)
      if (changes) await generic.batch(wireguard.set(family, name, changes))
      believed.set(name, after)
      return phrases
    } catch (error) {
      // It has another number when its module was loaded again.
      family = undefined
      throw error
    }
  }

  return {
    async ensure(wanted, isLook) {
      for (const name of believed.keys()) if (!wanted.some((one) => one.name === name)) believed.delete(name)
      const phrases: string[] = []
      for (const one of wanted) phrases.push(...(await ensureOne(one, isLook)))
      return phrases
    },
    close: () => generic?.close(),
  }
}

/** @throws PodwireError `WIREGUARD_UNAVAILABLE` */
async function findWireguard(generic: Netlink): Promise<GenericFamily> {
  try {
    return await generic.run(families.get(wireguard.FAMILY_NAME))
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') throw errors.WIREGUARD_UNAVAILABLE({ kernel: release() }, error)
    throw error
  }
}

/** Whether this node's kernel can do it, and has loaded what it takes. @throws PodwireError `WIREGUARD_UNAVAILABLE` */
export async function mustHaveWireguard(): Promise<void> {
  const generic = openNetlink({ protocol: NETLINK_GENERIC })
  try {
    await findWireguard(generic)
  } finally {
    generic.close()
  }
}
