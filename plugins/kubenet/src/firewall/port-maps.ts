import { errnoOf } from '@podwire/api'
import type { Netlink } from '@podwire/netlink'
import { type Change, type Data, elements, type SetRef, type TableRef } from '@podwire/netlink/nftables'
import { type MapElement, portMaps, sentinelOf } from './layout.ts'
import { elementKey, type PortElement, portKey } from './port-elements.ts'

/** The kernel's maps of published ports: what is in them, and what changes them. */
export interface PortMaps {
  additions(ports: readonly PortElement[]): Change[]
  /** The kernel deletes by key alone, wherever a port leads. */
  removals(ports: readonly PortElement[]): Change[]
  isThere(port: { readonly map: string; readonly element: MapElement }): boolean
  /** What differs from the ports that should be published. Errors: `ENOENT` without the tables. */
  compare(wanted: readonly PortElement[]): { missing: PortElement[]; leftover: PortElement[] }
}

export function openPortMaps(netlink: Netlink, table: () => TableRef): PortMaps {
  const setRef = (set: string): SetRef => ({ ...table(), set })

  const byMap = (ports: readonly PortElement[], make: typeof elements.add): Change[] =>
    portMaps.flatMap(({ map }) => {
      const own = ports.filter((port) => port.map === map).map(({ element }) => element)
      return own.length > 0 ? make(setRef(map), own) : []
    })

  function current(): Map<string, PortElement> {
    const found = portMaps.flatMap((of) => {
      const sentinel = sentinelOf(of).key
      return netlink
        .runSync(elements.list(setRef(of.map)))
        .map(({ key, value }) => ({ key: bytesOf(key), value: bytesOf(value) }))
        .filter(({ key }) => !key.equals(sentinel))
        .map((element) => ({ map: of.map, element }) as PortElement) // its mapping is not known, and not asked for
    })
    return new Map(found.map((element) => [elementKey(element), element]))
  }

  return {
    additions: (ports) => byMap(ports, elements.add),
    removals: (ports) => byMap(ports, elements.del),
    isThere({ map, element }) {
      try {
        const { value } = netlink.runSync(elements.get(setRef(map), element.key))
        return bytesOf(value).equals(element.value)
      } catch (error) {
        if (errnoOf(error) === 'ENOENT') return false
        throw error
      }
    },
    compare(wanted) {
      const there = current()
      const missing = wanted.filter((element) => !there.delete(elementKey(element)))
      return { missing, leftover: [...there.values()] }
    },
  }
}

const bytesOf = (data: Data | undefined) => (data instanceof Uint8Array ? Buffer.from(data) : Buffer.alloc(0))

/** Of two that want one port the first has it: the tables must not fail for it. */
export function firstOfEachPort(ports: readonly PortElement[]): PortElement[] {
  const seen = new Set<string>()
  return ports.filter((element) => {
    const port = portKey(element)
    return !seen.has(port) && seen.add(port)
  })
}
