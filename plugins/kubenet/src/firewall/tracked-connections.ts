import { errnoOf, ignoring } from '@podwire/api'
import { type Connection, conntrack, type Netlink, readSysctl } from '@podwire/netlink'

/** What the kernel keeps track of, for whoever makes it forget some of that. */
export interface TrackedConnections {
  /** Lets datagrams to a port of the host be translated anew: a flow goes on as the kernel remembers it, to a pod that is gone. */
  forgetFlows(udpPort: number): Promise<void>
  /**
   * Forgets the connections that are chosen, among those that began at one of the addresses, or are answered from there.
   * @param of absent: among all
   */
  forgetConnections(isChosen: (connection: Connection) => boolean, of?: readonly string[]): Promise<void>
}

const IPPROTO_UDP = 17

/** To go through its table takes the kernel as long as to tell of some thousand connections. */
const manyConnections = 4_000
const mostLooks = 8

export function createTrackedConnections(netlink: Netlink): TrackedConnections {
  async function listOf(addresses: readonly string[] | undefined): Promise<Connection[]> {
    const known = howMany()
    if (known === 0) return []
    if (!addresses || 2 * addresses.length > mostLooks || (known ?? 0) < manyConnections)
      return netlink.run(conntrack.list())
    const looks = addresses.flatMap((address) => [{ source: address }, { replySource: address }])
    const found = await Promise.all(looks.map((look) => netlink.run(conntrack.list(look))))
    return [
      ...new Map(found.flat().map((connection) => [connection.key.toString('latin1'), connection])).values(),
    ]
  }

  return {
    async forgetFlows(udpPort) {
      await conntrack.flush(netlink, { protocol: IPPROTO_UDP, port: udpPort })
    },
    async forgetConnections(isChosen, of) {
      const addresses = of && new Set(of)
      const found = (await listOf(of)).filter(
        (connection) =>
          (!addresses ||
            addresses.has(connection.original.source) ||
            addresses.has(connection.reply.source)) &&
          isChosen(connection),
      )
      await Promise.all(
        found.map((connection) => netlink.run(conntrack.del(connection)).catch(ignoring('ENOENT'))),
      )
    },
  }
}

/** Undefined where the kernel doesn't say. */
function howMany(): number | undefined {
  try {
    return Number(readSysctl('net/netfilter/nf_conntrack_count'))
  } catch (error) {
    if (errnoOf(error) === undefined) throw error
    return undefined
  }
}
