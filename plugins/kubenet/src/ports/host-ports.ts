import { errnoOf, type PodRef, type PortMapping, podKey } from '@podwire/api'
import { errors } from '../errors.ts'
import type { Firewall } from '../firewall/firewall.ts'
import {
  addressOf,
  elementKey,
  isSamePort,
  type PortElement,
  type Published,
  portElements,
} from '../firewall/port-elements.ts'
import { checkPorts } from './check-ports.ts'
import { probePort } from './probe.ts'

/** Each is one more change of hands between the kernel's refusal and the look at who has the port. */
const MOST_ATTEMPTS = 3

export interface HostPorts {
  /**
   * Publishes what `wanted` has and isn't published yet, in one transaction. What `now` has besides stays, but for what leads
   * elsewhere from now on.
   * @param now what may be published of the pod
   * @throws PodwireError `HOST_PORT_IN_USE`, `HOST_PORT_TWICE`, `HOST_PORT_FAMILY`, `FIREWALL_UNAVAILABLE`; then all is as it was
   */
  publish(now: Published, wanted: Published): Promise<void>
  /** Withdraws what only `now` has, in one transaction. */
  withdraw(now: Published, wanted: Published): Promise<void>
}

/**
 * @param ownerOf the pod that has an address, undefined when none has: what the firewall still holds of it is garbage
 */
export function createHostPorts(
  firewall: Firewall,
  ownerOf: (address: string) => PodRef | undefined,
): HostPorts {
  async function publish(added: readonly PortElement[], removed: readonly PortElement[]) {
    let leftover: readonly PortElement[] = []
    for (let attempt = 1; ; attempt++) {
      try {
        await firewall.change(added, [...removed, ...leftover])
        return
      } catch (error) {
        if (!['EBUSY', 'EEXIST'].includes(errnoOf(error) ?? '')) throw error
        // None where its owner, whom another process tears down, has given it back by now.
        leftover = leftoverInTheWay(added)
        if (attempt === MOST_ATTEMPTS) throw error
      }
    }
  }

  /** The elements that hold these ports, where no pod owns them any more. */
  function leftoverInTheWay(added: readonly PortElement[]): PortElement[] {
    const inTheWay = firewall
      .compare([])
      .leftover.filter((held) => added.some((wanted) => isSamePort(held, wanted)))
    for (const held of inTheWay) {
      const owner = ownerOf(addressOf(held))
      const { mapping } = added.find((wanted) => isSamePort(held, wanted))!
      if (owner) throw errors.HOST_PORT_IN_USE({ ...mapping, owner: `pod ${podKey(owner)}` })
    }
    return inTheWay
  }

  return {
    async publish(now, wanted) {
      checkPorts(wanted)
      const before = new Map(portElements(now).map((element) => [elementKey(element), element]))
      const after = portElements(wanted)
      const reason = firewall.problem
      if (reason !== undefined && after.some((element) => !before.has(elementKey(element))))
        throw errors.FIREWALL_UNAVAILABLE({ reason })
      if (reason !== undefined) return
      const added = after.filter(
        (element) => !before.delete(elementKey(element)) || !firewall.holds([element]),
      )
      if (added.length === 0) return
      const replaced = [...before.values()].filter((held) => added.some((next) => isSamePort(held, next)))
      const families = wanted.addresses.map(({ address }) => (address.includes(':') ? 6 : 4))
      // A port that only leads elsewhere from now on is the pod's own already.
      const own = new Set(now.ports.map(portOf))
      for (const mapping of new Set(added.map(({ mapping }) => mapping)))
        if (!own.has(portOf(mapping))) await probePort(mapping, families)
      await publish(added, replaced)
      await forgetFlows([...added, ...replaced])
    },
    async withdraw(now, wanted) {
      if (firewall.problem !== undefined) return
      const staying = new Set(portElements(wanted).map(elementKey))
      const removed = portElements(now).filter((element) => !staying.has(elementKey(element)))
      await firewall.change([], removed)
      await forgetFlows(removed)
    },
  }

  async function forgetFlows(elements: readonly PortElement[]) {
    const udp = elements.filter(({ mapping }) => mapping.protocol === 'udp')
    for (const port of new Set(udp.map(({ mapping }) => mapping.hostPort))) await firewall.forgetFlows(port)
  }
}

const portOf = ({ hostIP, hostPort, protocol }: PortMapping) => `${hostIP ?? ''} ${hostPort}/${protocol}`
