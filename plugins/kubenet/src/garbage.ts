import { type Host, podKey } from '@podwire/api'
import { links } from '@podwire/netlink'
import { isPodLinkName, podLinkNames } from './datapath/names.ts'
import { elementKey, portElements } from './host-ports/port-elements.ts'
import type { Node } from './node.ts'
import { isNetnsOf } from './records.ts'
import { tearDown } from './tear-down.ts'

/**
 * Takes down pods that nobody knows any more or whose namespace is gone, and removes links, published ports and claims on
 * addresses that belong to no pod. What is there is looked at before the records are: a pod that is being set up has its
 * record first, and so is never taken for garbage.
 */
export async function collectGarbage(
  node: Node,
  host: Host,
  validSandboxIds: ReadonlySet<string>,
): Promise<void> {
  const { netlink, firewall, records, reaper } = node
  const found = (await netlink.run(links.list())).map(({ name }) => name).filter(isPodLinkName)
  const published = firewall.problem ? [] : firewall.compare([]).leftover
  const claims = records.claimed().map((address) => ({ address, owner: records.ownerOf(address) }))
  records.sweep()

  const pods = await records.readAll((error) => host.report('record-unreadable', { message: error.message }))
  const isDead = (pod: (typeof pods)[number]) => !validSandboxIds.has(pod.sandboxId) || !isNetnsOf(pod)
  const dead = pods.filter(isDead)
  await Promise.all(dead.map((pod) => tearDown(node, pod)))

  const kept = pods.filter((pod) => !dead.includes(pod))
  const owners = new Set([...kept.map(({ sandboxId }) => sandboxId), ...validSandboxIds])
  const names = new Set([...owners].flatMap((sandboxId) => Object.values(podLinkNames(sandboxId))))
  await reaper.remove(found.filter((name) => !names.has(name)))
  const wanted = new Set(kept.flatMap(portElements).map(elementKey))
  await firewall.change(
    [],
    published.filter((element) => !wanted.has(elementKey(element))),
  )
  for (const { address, owner } of claims)
    if (owner !== undefined && !owners.has(owner)) node.releaseAddress(address, owner)
  if (dead.length > 0) host.report('garbage-collected', { pods: dead.map(podKey) })
}
