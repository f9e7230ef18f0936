import { podKey } from '@podwire/api'
import { links } from '@podwire/netlink'
import { elementKey, portElements } from '../firewall/port-elements.ts'
import { isNetnsOf, wantedFor } from '../pod-record.ts'
import { tearDownPod } from '../pods/tear-down.ts'
import type { Node } from './node.ts'

/**
 * Takes down pods that nobody knows any more or whose namespace is gone, and removes links, published ports, policies and claims on
 * addresses that belong to no pod. What is there is looked at before the records are: a pod that is being set up has its
 * record first, and so is never taken for garbage.
 */
export async function collectGarbage(node: Node, validSandboxIds: ReadonlySet<string>): Promise<void> {
  const { kernel, firewall, records, claims, podLinks } = node
  const found = (await kernel.runOffLoop(links.list())).filter(podLinks.isOwn).map(({ name }) => name)
  const published = node.published()
  const claimed = claims.claimed().map((address) => ({ address, owner: claims.ownerOf(address) }))
  records.sweep()

  const pods = await records.readAll((error) => node.report('record-unreadable', { message: error.message }))
  const isDead = (pod: (typeof pods)[number]) => !validSandboxIds.has(pod.sandboxId) || !isNetnsOf(pod)
  const dead = pods.filter(isDead)
  await Promise.all(dead.map((pod) => tearDownPod(node, pod)))

  const kept = pods.filter((pod) => !dead.includes(pod))
  const owners = new Set([...kept.map(({ sandboxId }) => sandboxId), ...validSandboxIds])
  const names = new Set([...owners].flatMap((sandboxId) => Object.values(podLinks.names(sandboxId))))
  await kernel.removeLinks(found.filter((name) => !names.has(name)))
  const wanted = new Set(kept.map(wantedFor).flatMap(portElements).map(elementKey))
  await firewall.change(
    [],
    published.filter((element) => !wanted.has(elementKey(element))),
  )
  for (const { address, owner } of claimed)
    if (owner !== undefined && !owners.has(owner)) node.releaseAddress(address, owner)
  node.policies.sweep()
  await node.dropEarlierNetworks()
  if (dead.length > 0) node.report('garbage-collected', { pods: dead.map(podKey) })
}
