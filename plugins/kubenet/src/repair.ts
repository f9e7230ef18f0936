import { type Host, type Logger, messageOf, podKey } from '@podwire/api'
import { links } from '@podwire/netlink'
import { podLinkNames } from './datapath/names.ts'
import { elementKey, type PortElement, portElements } from './host-ports/port-elements.ts'
import type { Node } from './node.ts'
import type { PodRecord } from './records.ts'

/**
 * Puts back what someone else deleted or flushed of the bridge, the rules, the published ports and the pods' ports at the
 * bridge, and tells the host of it. A pod whose link is gone is only told of: setting it up again mends it.
 */
export async function repair(node: Node, host: Host, already: readonly string[] = []): Promise<void> {
  const repaired = [...already, ...(await node.restore())]
  const published = node.firewall.problem ? [] : node.firewall.compare([]).leftover
  const pods = await node.records.readAll()
  repaired.push(...(await restorePorts(node, pods, published)))
  const { mended, missing } = await restoreLinks(node, pods)
  repaired.push(...mended)
  if (repaired.length + missing.length > 0) host.report('repair', { repaired, missing })
}

/** Repairs every now and then; the timer keeps no process alive. */
export function startRepairing(
  node: Node,
  host: Host,
  { options, log }: { options: { repairInterval: number }; log: Logger },
): { stop(): void } | undefined {
  if (options.repairInterval === 0) return undefined
  let isRunning = false
  const timer = setInterval(async () => {
    if (isRunning) return
    isRunning = true
    try {
      await repair(node, host)
    } catch (error) {
      log.warn(`kubenet could not repair the network: ${messageOf(error)}`)
    } finally {
      isRunning = false
    }
  }, options.repairInterval)
  timer.unref()
  return { stop: () => clearInterval(timer) }
}

// The ports were looked at before the records, and each record is looked at again: a pod that is being taken down
// meanwhile must not have its ports back.
async function restorePorts(
  { firewall, records }: Node,
  pods: readonly PodRecord[],
  published: readonly PortElement[],
): Promise<string[]> {
  if (firewall.problem) return []
  const there = new Set(published.map(elementKey))
  const missing = pods
    .filter((pod) => portElements(pod).some((element) => !there.has(elementKey(element))))
    .flatMap(({ sandboxId }) => records.read(sandboxId) ?? [])
    .filter(({ leaving }) => !leaving)
    .flatMap(portElements)
    .filter((element) => !there.has(elementKey(element)) && !firewall.holds([element]))
  await firewall.change(missing, [])
  return missing.map(({ mapping }) => `host port ${mapping.hostPort}/${mapping.protocol}`)
}

async function restoreLinks(node: Node, pods: readonly PodRecord[]) {
  const { netlink, courier, bridgeIndex, hairpin } = node
  const there = new Map((await netlink.run(links.list({ kind: 'veth' }))).map((link) => [link.name, link]))
  const mended: string[] = []
  const missing: string[] = []
  for (const pod of pods) {
    const name = podLinkNames(pod.sandboxId).host
    const link = there.get(name)
    if (!link) {
      missing.push(`link ${name} of pod ${podKey(pod)}`)
      continue
    }
    if (!link.up || link.master !== bridgeIndex) {
      await courier.run(netlink, links.set(link.index, { up: true, master: bridgeIndex }))
      mended.push(`link ${name} of pod ${podKey(pod)}`)
    }
    const isSet = link.master === bridgeIndex && link.bridgePort?.hairpin === hairpin
    if (isSet || (!hairpin && link.master !== bridgeIndex)) continue
    await courier.run(netlink, links.set(link.index, { bridgePort: { hairpin } }))
    mended.push(`hairpin of ${name} of pod ${podKey(pod)}`)
  }
  return { mended, missing }
}
