import { errors } from '../errors.ts'
import { admits, isSamePort, type Published, portElements } from '../firewall/port-elements.ts'

/**
 * Looks at a pod's ports before anything is done for them.
 * @throws PodwireError `HOST_PORT_FAMILY` for a mapping that no address of the pod fits, `HOST_PORT_TWICE` for two that
 * send the same packets to different ports of it
 */
export function checkPorts({ addresses, ports }: Published): void {
  for (const mapping of ports)
    if (!addresses.some(({ address }) => admits(mapping, address))) throw errors.HOST_PORT_FAMILY(mapping)
  const elements = portElements({ addresses, ports })
  for (const [index, element] of elements.entries()) {
    const other = elements.slice(0, index).find((earlier) => isSamePort(earlier, element))
    if (!other) continue
    const targets = [other, element].map(({ mapping }) => mapping.containerPort)
    throw errors.HOST_PORT_TWICE({ ...element.mapping, targets })
  }
}
