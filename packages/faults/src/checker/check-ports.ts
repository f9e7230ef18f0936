import type { PortMapping } from '@podwire/api'
import type { HostModel, MachineModel, PodModel } from './model.ts'
import type { Observed, ObservedState, PublishedPort } from './observed.ts'

/** Ports that should be published and are not, and those that are and should not. */
export function checkFirewall({ hosts }: MachineModel, { firewall, states }: Observed): string[] {
  const stateOf = (host: HostModel) => states.find(({ dir }) => dir === host.stateDir)
  const isDamaged = hosts.some((host) => host.isDamaged)
  const living = hosts.flatMap((host) => host.pods.map((pod) => ({ host, pod })))
  if (!firewall) return isDamaged || living.length === 0 ? [] : ['the table inet podwire is gone']
  const wanted = new Set(living.flatMap(({ host, pod }) => portsOf(pod, stateOf(host))))
  const there = new Set(firewall.ports.map(textOf))
  const mayLack = hosts.some(
    (host) => host.isDamaged || host.mayLackPorts || host.pods.some((pod) => pod.isDamaged),
  )
  return [
    ...[...there].filter((port) => !wanted.has(port)).map((port) => `published port ${port} is left`),
    ...[...wanted]
      .filter((port) => !there.has(port) && !mayLack)
      .map((port) => `port ${port} is not published`),
    ...(firewall.rules === 0 && !isDamaged ? ['the table inet podwire has no rule'] : []),
  ]
}

function portsOf(pod: PodModel, state: ObservedState | undefined): string[] {
  const record = state?.records.find(
    ({ name, namespace }) => name === pod.name && namespace === pod.namespace,
  )
  return pod.ports.flatMap((port) =>
    (record?.addresses ?? [])
      .filter(({ address }) => !port.hostIP || port.hostIP.includes(':') === address.includes(':'))
      .map(({ address }) => textOf({ ...port, address })),
  )
}

const textOf = ({ hostIP, hostPort, protocol, address, containerPort }: PortMapping & PublishedPort) =>
  `${hostIP ?? '*'} ${hostPort}/${protocol} → ${address} ${containerPort}`

/** Datagrams go on as the kernel remembers them: nothing may be remembered of a way that is no longer published. */
export function checkConnections({ connections, firewall, states }: Observed): string[] {
  const networks = states.flatMap(({ claims }) => claims.map(({ address }) => address))
  const published = new Set(
    firewall?.ports.map((port) => `${port.protocol} ${port.hostPort} ${port.address}`),
  )
  return connections
    .filter(({ original, reply }) => original.protocol === 17 && original.destination !== reply.source)
    .filter(({ original, reply }) => !published.has(`udp ${original.destinationPort} ${reply.source}`))
    .filter(() => firewall !== undefined)
    .map(
      ({ original, reply }) =>
        `datagrams to port ${original.destinationPort} are still sent to ${reply.source}` +
        (networks.includes(reply.source) ? '' : ', which no pod has'),
    )
}
