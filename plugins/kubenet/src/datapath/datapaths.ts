import { errnoOf } from '@podwire/api'
import type { BridgeDatapath } from './bridge/bridge-datapath.ts'
import type { Compared, Datapath, DatapathName, PodLink } from './datapath.ts'

/** The data paths of a host, as one. */
export interface Datapaths extends Datapath {
  /** How pods are connected from now on. */
  readonly name: DatapathName
  /** Whether something is there that no pod needs any more. */
  hasLeftovers(): boolean
}

/**
 * Pods are connected in the way that is configured; those that were connected in the other one stay so until they go. What
 * pods of a kind share is there while there are such pods.
 * @param podsOf the pods that were connected so
 */
export function createDatapaths(
  name: DatapathName,
  { routed, bridge }: { readonly routed: Datapath; readonly bridge: BridgeDatapath },
  podsOf: (name: DatapathName) => readonly PodLink[],
): Datapaths {
  const paths: Readonly<Record<DatapathName, Datapath>> = { routed, bridge }
  const otherName = name === 'routed' ? 'bridge' : 'routed'
  const [configured, other] = [paths[name], paths[otherName]]

  // Asked first, as few hosts have both, and reading the records of all pods takes its time.
  const isOtherNeeded = () => other.isThere() && podsOf(otherName).length > 0
  const inUse = () => (isOtherNeeded() ? [configured, other] : [configured])
  const areBoth = () => routed.isThere() && bridge.isThere()
  const of = (pod: PodLink) => paths[pod.datapath]

  return {
    name,
    hasLeftovers: () => other.isThere() && !isOtherNeeded(),
    async inspect() {
      for (const path of inUse()) await path.inspect()
    },
    async compare(plan) {
      const all = []
      // What was never made can't be missing: the configured one before its first pod.
      for (const path of inUse()) if (path.isThere()) all.push(await path.compare(plan))
      return {
        differences: all.flatMap(({ differences }) => differences),
        duplicatesFrom: duplicatesOf(all),
      }
    },
    async ensure(plan) {
      const wanted = inUse()
      if (!wanted.includes(other) && other.isThere()) await other.remove()
      const all = []
      for (const path of wanted) {
        // What is made for the first time was not missing.
        const isNew = !path.isThere()
        try {
          const ensured = await path.ensure(plan)
          all.push(isNew ? { ...ensured, repaired: [] } : ensured)
        } catch (error) {
          // Its last pod went meanwhile, and another process took it away.
          if (path !== other || errnoOf(error) !== 'ENODEV' || isOtherNeeded()) throw error
        }
      }
      const answering = wanted.includes(other) ? await bridge.answerFor(podsOf('routed')) : []
      return {
        repaired: all.flatMap(({ repaired }) => repaired),
        refused: [...all.flatMap(({ refused }) => refused), ...answering],
        taken: all.flatMap(({ taken }) => taken),
        duplicatesFrom: duplicatesOf(all),
      }
    },
    async isIntact() {
      return (await configured.isIntact()) && (!isOtherNeeded() || (await other.isIntact()))
    },
    isThere: () => configured.isThere() || other.isThere(),
    async remove() {
      for (const path of [configured, other]) if (path.isThere()) await path.remove()
    },
    async routeLoopback(isGuarded) {
      const refused: string[] = []
      for (const path of inUse()) refused.push(...(await path.routeLoopback(isGuarded)))
      return refused
    },
    async restore(pods) {
      const repaired: string[] = []
      const missing: string[] = []
      for (const path of [configured, other]) {
        const own = pods.filter((pod) => of(pod) === path)
        if (own.length === 0) continue
        const restored = await path.restore(own)
        repaired.push(...restored.repaired)
        missing.push(...restored.missing)
      }
      return { repaired, missing }
    },
    isOwn: (link, addressProtocol) =>
      routed.isOwn(link, addressProtocol) || bridge.isOwn(link, addressProtocol),

    async connect(pod, sandbox) {
      const index = await of(pod).connect(pod, sandbox)
      if (!areBoth()) return index
      if (pod.datapath === 'routed') await bridge.answerFor([pod])
      else await bridge.answerNoMore(pod.addresses)
      return index
    },
    differences: (pod) => of(pod).differences(pod),
    mend: (pod, sandbox) => of(pod).mend(pod, sandbox),
    describe: (pod) => of(pod).describe(pod),
    async disconnect(pod) {
      if (pod.addresses && pod.datapath === 'routed' && areBoth()) await bridge.answerNoMore(pod.addresses)
      // The link is found by the sandbox, whichever kind it is.
      await paths[pod.datapath ?? name].disconnect(pod)
    },
  }
}

const duplicatesOf = (all: readonly Pick<Compared, 'duplicatesFrom'>[]) =>
  all.find(({ duplicatesFrom }) => duplicatesFrom)?.duplicatesFrom
