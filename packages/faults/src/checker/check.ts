import { podKey } from '@podwire/api'
import { readSysctl } from '@podwire/netlink'
import { checkPod } from './check-pod.ts'
import { checkConnections, checkFirewall } from './check-ports.ts'
import { datapathCheckers } from './datapath/index.ts'
import type { HostModel, MachineModel } from './model.ts'
import { tableOf } from './observe-firewall.ts'
import type { DatapathName, Observed, ObservedState } from './observed.ts'

/**
 * In what a machine is not as it should be, each in a sentence; empty when it is: no address twice, every pod that was
 * acknowledged up is up and complete, every pod acknowledged down is gone whole, nothing of nobody is left.
 */
export function check(model: MachineModel, observed: Observed): string[] {
  return [
    ...addressesTwice(observed),
    ...model.hosts.flatMap((host) => checkHost(host, observed)),
    ...checkConnections(model, observed),
    ...namespacesOfNobody(observed),
    ...linksOfNobody(observed),
    ...neighboursOfNobody(observed),
    ...routesOfNobody(observed),
    ...tablesOfNobody(observed),
  ]
}

function addressesTwice({ namespaces, addresses }: Observed): string[] {
  const owners = new Map<string, string[]>()
  const all = [
    ...namespaces.map(({ path, addresses }) => ({ place: path, addresses })),
    { place: 'the host', addresses },
  ]
  for (const { place, addresses } of all)
    for (const { address, scope } of addresses)
      if (scope === 'global') {
        const [ip = ''] = address.split('/')
        // A host that has pods of both kinds has its own address twice.
        if (!owners.get(ip)?.includes(place)) owners.set(ip, [...(owners.get(ip) ?? []), place])
      }
  return [...owners].flatMap(([ip, places]) =>
    places.length > 1 ? [`address ${ip} is there ${places.length} times: ${places.join(', ')}`] : [],
  )
}

function checkHost(host: HostModel, observed: Observed): string[] {
  const state = observed.states.find(({ dir }) => dir === host.stateDir)
  if (!state) return [`state directory ${host.stateDir} was not looked at`]
  return [
    ...checkNetwork(host, state, observed),
    ...host.pods.flatMap((pod) => checkPod(pod, host, state, observed)),
    ...recordsOfNobody(host, state),
    ...checkFirewall(host, state),
    ...(host.isTidy ? untidiness(state) : []),
  ].map((difference) => `${host.stateDir}: ${difference}`)
}

/** What the pods of each kind share. */
function checkNetwork(host: HostModel, { records }: ObservedState, observed: Observed): string[] {
  const isForwarding = readSysctl('net/ipv4/ip_forward') === '1'
  const kinds = Object.entries(datapathCheckers(host)).flatMap(([kind, checker]) => {
    if (records.some(({ datapath }) => datapath === kind))
      return host.damaged?.has('network') ? [] : checker.sharedDifferences(observed)
    // The keys are the names of data paths.
    return host.isTidy && (kind as DatapathName) !== host.datapath ? checker.leftovers(observed) : []
  })
  return [...kinds, ...(isForwarding || host.pods.length === 0 ? [] : ['the host does not forward'])]
}

function recordsOfNobody({ pods }: HostModel, { sandboxes, records, claims }: ObservedState): string[] {
  const isWanted = (pod: { namespace: string; name: string }) =>
    pods.some((one) => podKey(one) === podKey(pod))
  const ids = new Set(sandboxes.map(({ pod }) => pod.sandboxId))
  return [
    ...sandboxes
      .filter(({ pod }) => !isWanted(pod))
      .map(({ pod, phase, problem = '' }) => `the record of pod ${podKey(pod)} is left, ${phase} ${problem}`),
    ...records
      .filter((record) => !isWanted(record) || !ids.has(record.sandboxId))
      .map((record) => `kubenet's record of pod ${podKey(record)} is left`),
    ...claims
      .filter(({ owner }) => !ids.has(owner))
      .map(({ address, owner }) => `the claim on ${address} by ${owner} is left`),
  ]
}

function untidiness({ strays, locks }: ObservedState): string[] {
  return [
    ...strays.map((file) => `${file} is left`),
    ...locks.map(({ file, isHeld }) => `${file} is ${isHeld ? 'held' : 'left'}`),
  ]
}

function namespacesOfNobody({ namespaces, states }: Observed): string[] {
  const known = new Set(states.flatMap(({ sandboxes }) => sandboxes.map(({ pod }) => pod.netns)))
  return namespaces
    .filter(({ path }) => !known.has(path))
    .map(({ path, processes }) => `${path} is left, with ${processes.length} processes in it`)
}

const podLink = /^pwi?[0-9a-f]{12}$/

function linksOfNobody({ links, states }: Observed): string[] {
  const wanted = new Set(
    states.flatMap(({ id, sandboxes }) => sandboxes.map(({ pod }) => `podwire ${id} ${podKey(pod)}`)),
  )
  return links
    .filter(({ name, alias = '' }) => podLink.test(name) && !wanted.has(alias))
    .map(({ name, alias }) => `link ${name} (${alias ?? 'no alias'}) is left`)
}

/** A route to one address by a pod's link, which nobody has. */
function routesOfNobody({ routes, links, states }: Observed): string[] {
  const names = new Map(links.map(({ index, name }) => [index, name]))
  const claimed = new Set(states.flatMap(({ claims }) => claims.map(({ address }) => address)))
  return routes.flatMap(({ destination, dev }) => {
    const name = names.get(dev ?? 0) ?? ''
    const [address = ''] = destination.split('/')
    const isLinkLocal = destination.startsWith('fe80:') || destination.startsWith('ff')
    if (!podLink.test(name) || isLinkLocal || claimed.has(address)) return []
    return [`the route to ${destination} by ${name} is left`]
  })
}

function tablesOfNobody({ tables, states }: Observed): string[] {
  const known = states.flatMap(({ id }) => (id === undefined ? [] : [tableOf(id).table]))
  return tables.filter((table) => !known.includes(table)).map((table) => `the table ${table} is left`)
}

function neighboursOfNobody({ neighbours, states }: Observed): string[] {
  const claimed = new Set(states.flatMap(({ claims }) => claims.map(({ address }) => address)))
  return neighbours
    .filter(({ state, address }) => state === 'permanent' && !claimed.has(address))
    .map(({ address, dev }) => `the permanent neighbour ${address} is left on link ${dev}`)
}
