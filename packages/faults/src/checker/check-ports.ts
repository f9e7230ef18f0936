import type { HostModel, MachineModel, PodModel } from './model.ts'
import type { Observed, ObservedState, PublishedPort } from './observed.ts'

/** Ports that should be published and are not, and those that are and should not; and the rules around them. */
export function checkFirewall(host: HostModel, state: ObservedState): string[] {
  const { firewall } = state
  const isDamaged = host.damaged?.has('firewall')
  if (!firewall) return isDamaged || host.pods.length === 0 ? [] : ['its nft table is gone']
  const wanted = new Set(wantedPorts(host, state).map(textOf))
  const there = new Set(firewall.ports.map(textOf))
  const leftovers = [...there]
    .filter((port) => !wanted.has(port))
    .map((port) => `published port ${port} is left`)
  if (isDamaged) return leftovers
  return [
    ...leftovers,
    ...[...wanted].filter((port) => !there.has(port)).map((port) => `port ${port} is not published`),
    ...(firewall.rules === 0 ? ['its nft table has no rule'] : []),
    ...firewall.flushed.map((map) => `the map ${map} was emptied`),
  ]
}

/** Datagrams go on as the kernel remembers them: nothing may be remembered of a way that should not be there any more. */
export function checkConnections({ hosts }: MachineModel, { connections, states }: Observed): string[] {
  const wanted = new Set(
    hosts
      .flatMap((host) => wantedOf(host, states))
      .map(({ protocol, hostPort, address }) => `${protocol} ${hostPort} ${address}`),
  )
  return connections
    .filter(({ original, reply }) => original.protocol === 17 && original.destination !== reply.source)
    .filter(({ original, reply }) => !wanted.has(`udp ${original.destinationPort} ${reply.source}`))
    .map(
      ({ original, reply }) =>
        `datagrams to port ${original.destinationPort} are still sent to ${reply.source}`,
    )
}

function wantedOf(host: HostModel, states: readonly ObservedState[]): PublishedPort[] {
  const state = states.find(({ dir }) => dir === host.stateDir)
  return state ? wantedPorts(host, state) : []
}

const wantedPorts = ({ pods }: HostModel, state: ObservedState): PublishedPort[] =>
  pods.flatMap((pod) => portsOf(pod, state))

function portsOf(pod: PodModel, state: ObservedState): PublishedPort[] {
  const record = state.records.find(({ name, namespace }) => name === pod.name && namespace === pod.namespace)
  return pod.ports.flatMap((port) =>
    (record?.addresses ?? [])
      .filter(({ address }) => !port.hostIP || port.hostIP.includes(':') === address.includes(':'))
      .map(({ address }) => ({ ...port, address })),
  )
}

const textOf = ({ hostIP, hostPort, protocol, address, containerPort }: PublishedPort) =>
  `${hostIP ?? '*'} ${hostPort}/${protocol} → ${address} ${containerPort}`
