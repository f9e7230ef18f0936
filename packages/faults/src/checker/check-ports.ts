import type { MachineModel, PodModel } from './model.ts'
import type { Observed, ObservedState, PublishedPort } from './observed.ts'

/** Ports that should be published and are not, and those that are and should not. */
export function checkFirewall(model: MachineModel, { firewall, states }: Observed): string[] {
  const { hosts } = model
  const isDamaged = hosts.some((host) => host.isDamaged)
  if (!firewall) {
    const isNeeded = hosts.some(({ pods }) => pods.length > 0)
    return isDamaged || !isNeeded ? [] : ['the table inet podwire is gone']
  }
  const wanted = new Set(wantedPorts(model, states).map(textOf))
  const there = new Set(firewall.ports.map(textOf))
  const isShared = hosts.some(({ mayLackPorts }) => mayLackPorts)
  const mayLack = hosts.some(
    (host) => host.isDamaged || host.mayLackPorts || host.pods.some((pod) => pod.isDamaged),
  )
  return [
    ...[...there]
      .filter((port) => !wanted.has(port) && !isShared)
      .map((port) => `published port ${port} is left`),
    ...[...wanted]
      .filter((port) => !there.has(port) && !mayLack)
      .map((port) => `port ${port} is not published`),
    ...(firewall.rules === 0 && !isDamaged ? ['the table inet podwire has no rule'] : []),
  ]
}

/** Datagrams go on as the kernel remembers them: nothing may be remembered of a way that should not be there any more. */
export function checkConnections(model: MachineModel, { connections, states }: Observed): string[] {
  const wanted = new Set(
    wantedPorts(model, states).map(({ protocol, hostPort, address }) => `${protocol} ${hostPort} ${address}`),
  )
  return connections
    .filter(({ original, reply }) => original.protocol === 17 && original.destination !== reply.source)
    .filter(({ original, reply }) => !wanted.has(`udp ${original.destinationPort} ${reply.source}`))
    .map(
      ({ original, reply }) =>
        `datagrams to port ${original.destinationPort} are still sent to ${reply.source}`,
    )
}

function wantedPorts({ hosts }: MachineModel, states: readonly ObservedState[]): PublishedPort[] {
  return hosts.flatMap((host) => {
    const state = states.find(({ dir }) => dir === host.stateDir)
    return host.pods.flatMap((pod) => portsOf(pod, state))
  })
}

function portsOf(pod: PodModel, state: ObservedState | undefined): PublishedPort[] {
  const record = state?.records.find(
    ({ name, namespace }) => name === pod.name && namespace === pod.namespace,
  )
  return pod.ports.flatMap((port) =>
    (record?.addresses ?? [])
      .filter(({ address }) => !port.hostIP || port.hostIP.includes(':') === address.includes(':'))
      .map(({ address }) => ({ ...port, address })),
  )
}

const textOf = ({ hostIP, hostPort, protocol, address, containerPort }: PublishedPort) =>
  `${hostIP ?? '*'} ${hostPort}/${protocol} → ${address} ${containerPort}`
