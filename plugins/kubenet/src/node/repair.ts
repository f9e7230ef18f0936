import { type Logger, messageOf, podKey } from '@podwire/api'
import { elementKey, type PortElement, portElements, portKey } from '../firewall/port-elements.ts'
import { firstOfEachPort } from '../firewall/port-maps.ts'
import { nextTurn } from '../kernel/scheduling.ts'
import type { PodRecord } from '../pod-record.ts'
import type { SetUpContext } from '../pods/context.ts'
import type { Node } from './node.ts'

/** What a set-up works with, the network made or mended before where that is needed. */
export async function prepare(node: Node): Promise<SetUpContext> {
  const context = node.forSetUp()
  if (node.isBuilt) {
    if (!(await node.isIntact())) await repair(node)
    return context
  }
  const hasPods = node.records.ids().length > 0
  if (hasPods) node.repairMark.set()
  const made = await node.build()
  // Somebody took away what an earlier process made, and the links of its pods depend on that.
  if (hasPods && (made.length > 0 || node.repairMark.wasCutShort)) await repair(node, made)
  else if (hasPods) node.repairMark.clear()
  return context
}

/**
 * Puts back what someone else deleted or flushed of what pods share, the rules, the published ports and the host's ends of pods'
 * links, and tells the host of it. A pod whose link is gone is only told of: setting it up again mends it.
 * @param before what was put back already
 * @param takesUp whether it goes on with the DNS and the denials of pods whose process ended: only who stays may
 */
export async function repair(node: Node, before: readonly string[] = [], takesUp = false): Promise<void> {
  // Where there are no pods, nothing was made, and nothing is missing.
  if (!node.isBuilt && node.records.ids().length === 0) return
  node.forSetUp()
  node.repairMark.set()
  const repaired = [...before, ...(await node.build())]
  const published = node.published()
  const pods = await node.records.readAll()
  repaired.push(...restorePorts(node, pods, published))
  repaired.push(...(await restorePolicies(node, pods, takesUp)))
  const links = await node.datapath.restore(pods)
  repaired.push(...links.repaired)
  node.repairMark.clear()
  if (repaired.length + links.missing.length > 0) node.report('repair', { repaired, missing: links.missing })
}

// A repair that somebody else takes back at once must not go on for ever.
const shortestPauseMs = 1000

/** Repairs every now and then, and when somebody took rules away; keeps no process alive. */
export function startRepairing(node: Node, interval: number, log: Logger): { stop(): void } | undefined {
  if (interval === 0) return undefined
  let isRunning = false
  let next: NodeJS.Timeout | undefined
  let last = Number.NEGATIVE_INFINITY

  async function run() {
    if (isRunning) return
    isRunning = true
    last = performance.now()
    try {
      await repair(node)
    } catch (error) {
      log.warn(`kubenet could not repair the network: ${messageOf(error)}`)
    } finally {
      isRunning = false
    }
  }

  const losses = node.firewall.onLoss(() => {
    next ??= setTimeout(
      () => {
        next = undefined
        return run()
      },
      Math.max(0, last + shortestPauseMs - performance.now()),
    ).unref()
  })
  const timer = setInterval(run, interval).unref()
  return {
    stop() {
      losses.stop()
      clearInterval(timer)
      clearTimeout(next)
    },
  }
}

/** A pod that changes or goes this moment is left to whoever is at it. */
async function restorePolicies(
  { firewall, records, policies }: Node,
  pods: readonly PodRecord[],
  takesUp: boolean,
): Promise<string[]> {
  if (firewall.problem) return []
  const repaired: string[] = []
  for (const { sandboxId } of pods.filter(({ policy }) => policy)) {
    await nextTurn()
    const pod = records.read(sandboxId)
    if (!pod || pod.leaving || pod.changing) continue
    if (takesUp) await policies.takeUp(pod)
    if (policies.isLeftToOthers(pod) || policies.differences(pod).length === 0) continue
    await policies.replace(pod)
    repaired.push(`policy of pod ${podKey(pod)}`)
  }
  return repaired
}

// The ports were looked at before the records, and each record is looked at again: a pod that is being torn down
// meanwhile must not have its ports back. Whether a change that has begun is still under way can't be seen here; the next
// set-up of the pod finishes it.
function restorePorts(
  { firewall, records }: Node,
  pods: readonly PodRecord[],
  published: readonly PortElement[],
): string[] {
  if (firewall.problem) return []
  const there = new Set(published.map(elementKey))
  const incomplete = pods.filter((pod) =>
    portElements(pod).some((element) => !there.has(elementKey(element))),
  )
  let missing: PortElement[] = []
  // Another pod's, though a record says otherwise: it must not keep all else from being put back.
  const taken = new Set(published.map(portKey))
  firewall.restore(() => {
    const wanted = incomplete
      .flatMap(({ sandboxId }) => records.read(sandboxId) ?? [])
      .filter(({ leaving, changing }) => !leaving && !changing)
      .flatMap(portElements)
      .filter((element) => !taken.has(portKey(element)) && !firewall.holds([element]))
    missing = firstOfEachPort(wanted)
    return missing
  })
  return missing.map(({ mapping }) => `host port ${mapping.hostPort}/${mapping.protocol}`)
}
