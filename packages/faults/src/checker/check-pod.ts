import { isDeepStrictEqual } from 'node:util'
import { podKey } from '@podwire/api'
import type { SandboxRecord } from '@podwire/core'
import type { Link } from '@podwire/netlink'
import { datapathCheckers } from './datapath/index.ts'
import type { HostModel, PodModel } from './model.ts'
import type { KubenetRecord, Observed, ObservedNamespace, ObservedState } from './observed.ts'

/** In what a pod that was acknowledged up is not up, or not complete. */
export function checkPod(pod: PodModel, host: HostModel, state: ObservedState, observed: Observed): string[] {
  return differences().map((difference) => `pod ${podKey(pod)}: ${difference}`)

  function differences(): string[] {
    const sandbox = state.sandboxes.find((one) => podKey(one.pod) === podKey(pod))
    if (!sandbox) return ['it was acknowledged up and has no record']
    const record = state.records.find(({ sandboxId }) => sandboxId === sandbox.pod.sandboxId)
    if (!record) return ['kubenet has no record of it']
    const inside = observed.namespaces.find(({ path }) => path === sandbox.pod.netns)
    if (!inside?.id) return [`its network namespace ${sandbox.pod.netns} is gone`]
    return [
      ...recordDifferences(pod, sandbox, record, inside),
      ...claimDifferences(sandbox, record, state),
      ...(pod.isDamaged || host.damaged?.has('network') ? [] : linkDifferences(record, inside)),
    ]
  }

  function linkDifferences(record: KubenetRecord, inside: ObservedNamespace): string[] {
    const alias = `podwire ${state.id} ${podKey(pod)}`
    const link = observed.links.find((one) => one.kind === 'veth' && one.alias === alias)
    if (!link) return ['its link is gone']
    // As the record says: pods stay what they were when their host goes over to another data path.
    const datapath = datapathCheckers(host)[record.datapath]
    return [
      ...(link.up ? [] : [`${link.name} is down`]),
      ...datapath.linkDifferences(observed, link, record),
      ...insideDifferences(inside, datapath.addressesInside(record)),
      ...datapath.insideDifferences(inside, record),
      ...limitDifferences(pod, link, alias, observed),
    ]
  }
}

function recordDifferences(
  pod: PodModel,
  sandbox: SandboxRecord,
  record: KubenetRecord,
  inside: ObservedNamespace,
): string[] {
  const found: string[] = []
  if (sandbox.phase !== 'ready') found.push(`it was acknowledged up and is ${sandbox.phase}`)
  if (sandbox.problem) found.push(`its record tells of a problem: ${sandbox.problem}`)
  if (!isDeepStrictEqual(sandbox.netnsIdentity, inside.id)) found.push("its namespace is not its record's")
  if (record.netns.ino !== inside.id?.ino) found.push("its namespace is not that of kubenet's record")
  if (!isDeepStrictEqual(sandbox.pod.portMappings, pod.ports))
    found.push(
      `its record has the ports ${JSON.stringify(sandbox.pod.portMappings)}, not ${JSON.stringify(pod.ports)}`,
    )
  if (!isDeepStrictEqual(sandbox.pod.bandwidth ?? {}, pod.bandwidth))
    found.push('its record has other limits')
  if (!isDeepStrictEqual(sandbox.pod.policy, pod.policy)) found.push('its record has another policy')
  if (!isDeepStrictEqual(record.policy, pod.policy)) found.push("kubenet's record has another policy")
  if (!isDeepStrictEqual(record.ports, pod.ports)) found.push("kubenet's record has other ports")
  if (!isDeepStrictEqual(record.bandwidth, pod.bandwidth)) found.push("kubenet's record has other limits")
  if (record.changing) found.push("kubenet's record says that a change is under way")
  if (record.isLeaving) found.push("kubenet's record says that it leaves")
  const told = sandbox.status?.ips ?? []
  if (
    !isDeepStrictEqual(
      told,
      record.addresses.map(({ address }) => address),
    )
  )
    found.push(
      `its record says ${told.join()}, kubenet's ${record.addresses.map(({ address }) => address).join()}`,
    )
  return found
}

function claimDifferences(
  { pod }: SandboxRecord,
  { addresses }: KubenetRecord,
  { claims }: ObservedState,
): string[] {
  const own = claims.filter(({ owner }) => owner === pod.sandboxId).map(({ address }) => address)
  const wanted = addresses.map(({ address }) => address)
  return isDeepStrictEqual([...own].sort(), [...wanted].sort())
    ? []
    : [`it claims ${own.join() || 'nothing'}, and has ${wanted.join()}`]
}

function insideDifferences({ links, addresses }: ObservedNamespace, wanted: readonly string[]): string[] {
  const eth0 = links.find(({ name }) => name === 'eth0')
  if (!eth0) return ['it has no eth0']
  const found: string[] = []
  if (!eth0.up) found.push('its eth0 is down')
  if (!links.some(({ name, up }) => name === 'lo' && up)) found.push('its loopback is down')
  const there = addresses.filter(({ dev, scope }) => dev === eth0.index && scope === 'global')
  const have = there.map(({ address }) => address).sort()
  const want = [...wanted].sort()
  if (!isDeepStrictEqual(have, want))
    found.push(`its eth0 has ${have.join() || 'no address'}, not ${want.join()}`)
  return found
}

const bytesPerSecond = (bits: number | undefined) => (bits === undefined ? undefined : Math.ceil(bits / 8))

function limitDifferences({ bandwidth }: PodModel, link: Link, alias: string, observed: Observed): string[] {
  const rateOf = (dev: number | undefined) =>
    observed.qdiscs.find((one) => one.dev === dev && one.kind === 'tbf')?.rate
  const ifb = observed.links.find((one) => one.kind === 'ifb' && one.alias === alias)
  const isLed = observed.redirects.get(link.index) === ifb?.index && ifb !== undefined
  const isCaught = observed.qdiscs.some(({ dev, kind }) => dev === link.index && kind === 'ingress')
  const ingress = rateOf(link.index)
  const egress = isLed ? rateOf(ifb.index) : undefined
  return [
    ...(ingress === bytesPerSecond(bandwidth.ingress)
      ? []
      : [`what it receives is limited to ${ingress} bytes/s, not ${bytesPerSecond(bandwidth.ingress)}`]),
    ...(egress === bytesPerSecond(bandwidth.egress)
      ? []
      : [`what it sends is limited to ${egress} bytes/s, not ${bytesPerSecond(bandwidth.egress)}`]),
    ...(isCaught && bandwidth.egress === undefined ? ['what it sends is still led through an ifb'] : []),
  ]
}
