import { messageOf, type PodRef, podKey } from '@podwire/api'
import { type Change, type TableRef, tables } from '@podwire/netlink/nftables'
import { errors } from '../errors.ts'
import type { Firewall } from '../firewall/firewall.ts'
import type { PodRecord } from '../pod-record.ts'
import { answeredBy } from './answered.ts'
import { compilePolicy } from './compile.ts'
import { familiesOf } from './connections.ts'
import { hasElement, isThere, renewed, retrying, retryingInTime } from './in-kernel.ts'
import { type KernelPolicy, kernelPolicyOf } from './kernel-policy.ts'
import { createKnownPods, type KnownPodsContext } from './known-pods.ts'
import { createLargePolicies } from './large-policies.ts'
import { createLedTo } from './led-to.ts'
import {
  added,
  created,
  forgotten,
  isAnsweredAt,
  isAnsweredByAnybody,
  type LinkEntry,
  policyEntries,
  resolverEntries,
} from './link-entries.ts'
import type { Member, Naming } from './naming.ts'
import type { MembersOf } from './objects.ts'
import { createOthersPolicies } from './others-policies.ts'
import type { PastConnections, PolicedPod } from './past-connections.ts'
import { asElements, type PodOfRules, podSets, selectedKeys } from './pod-sets.ts'
import { createRebuiltPolicies, type RebuiltPolicies } from './rebuilt-policies.ts'
import { createSharedPolicies } from './shared-policies.ts'
import { createTouchedAddresses } from './touched-addresses.ts'

/** What pods' policies are in the kernel. Each change is one transaction: at no moment is a pod without rules. */
export interface Policies extends RebuiltPolicies {
  /** Looks whether a pod can have its policy. @throws PodwireError: why not */
  assertPossible(pod: WithPolicy): void
  /** Puts a new pod's policy in place, and makes the pod known to the policies of others; before its link is there. */
  add(pod: PodRecord): Promise<void>
  /** Gives a pod its policy, whatever it had before, and cuts the connections that are no longer allowed. */
  replace(pod: PodRecord): Promise<void>
  /**
   * Goes on with what a process that ended did for a pod: answers its DNS, and tells what it is denied. Its rules stay, and so do
   * the addresses that names led it to, and its connections. What another process does still is left to that.
   */
  takeUp(pod: PodRecord): Promise<void>
  /** Whether a pod has a policy, or may be part of another one's. */
  concern(pod: PodRecord): boolean
  /** Takes the policy away, and the pod out of others'; after its link is gone and its record says that it leaves, before its addresses are free. */
  remove(pod: PodRef & Partial<PodRecord>): void
  /** Takes away what processes that were killed left of policies that no pod has. */
  sweep(): void
  /**
   * Brings pods of other nodes into the policies that speak of them, and takes those out that are gone; cuts the connections that are
   * no longer allowed. May be repeated. Those of afterwards are known already.
   */
  exchangePeers(before: readonly PodOfRules[], after: readonly PodOfRules[]): Promise<void>
  /** Whether this process answers the pod's DNS, where its policy has names that it would answer. */
  isAnswered(pod: PodRecord): boolean
  /** Whether another process is to see to the pod's policy: its rules lead to whoever answers it. */
  isLeftToOthers(pod: PodRecord): boolean
  /** Lets a pod connect to what its names lead to. @param groups where they stand among what its egress allows */
  admit(pod: PodRecord, groups: readonly number[], members: readonly Member[]): void
  /** In what the kernel's rules differ, each in a phrase. */
  differences(pod: PodRecord): string[]
}

type WithPolicy = Pick<PodRecord, 'namespace' | 'name' | 'datapath' | 'policy'>

interface PolicyContext extends KnownPodsContext {
  readonly firewall: Firewall
  readonly stateDir: string
  /** Where what is denied is told by this process. */
  logGroup(): number
  /** Tells what is denied where an earlier process did. */
  takeUpLog(group: number): void
  readonly past: PastConnections
  readonly naming: Naming
}

export function createPolicies(context: PolicyContext): Policies {
  const { firewall, linkOf, naming, past } = context
  const pods = createKnownPods(context)
  const touched = createTouchedAddresses()
  const shared = createSharedPolicies({
    firewall,
    membersOf: (policy) => membersOf(policy, everybody),
    pods: () => everybody(),
  })
  const ledTo = createLedTo({ firewall, naming, isAnsweredHere: isLedHere, linkOf })
  const others = createOthersPolicies({
    firewall,
    stateDir: context.stateDir,
    read: pods.read,
    own: pods.own,
    kernelPolicyOf: policyOf,
    known: shared.known,
    isCurrent: shared.isCurrent,
    touched,
  })
  const large = createLargePolicies({
    ...{ firewall, shared, touched },
    pods: () => everybody(),
    peers: pods.peers,
  })

  function policyOf(record: PodRecord): KernelPolicy | undefined {
    const { policy, addresses } = record
    if (!policy) return undefined
    const families = familiesOf(addresses.map(({ address }) => address))
    return compiling(record, () => kernelPolicyOf(policy, families, record.logGroup ?? context.logGroup()))
  }

  const everybody = () => [...pods.own(), ...pods.peers()]

  const membersOf =
    (policy: KernelPolicy, present: () => readonly PodOfRules[]): MembersOf =>
    (of) =>
      of.group.kind === 'names'
        ? naming
            .pods()
            .filter((pod) => policyOf(pod)?.suffix === policy.suffix && pods.isKept(pod))
            .flatMap((pod) => ledTo.elementsOf(pod, of))
        : asElements(selectedKeys(present(), of.group.pods, of.family))

  /** What leads a pod's packets to its policy, and its questions to whoever answers them. */
  function entriesOf(
    record: PodRecord,
    policy: KernelPolicy | undefined,
    link = linkOf(record.sandboxId),
  ): LinkEntry[] {
    const resolver = naming.resolverOf(record)
    return [
      ...(policy ? policyEntries(link, policy) : []),
      ...(resolver ? resolverEntries(link, record, resolver) : []),
    ]
  }

  const rebuilt = createRebuiltPolicies({ pods, linkOf, policyOf, membersOf, entriesOf })

  /** In one transaction: the policy, the pod's way to it, and the pod in the policies of others. */
  async function give(record: PodRecord, isNew: (attempt: number) => boolean) {
    const policy = policyOf(record)
    const link = linkOf(record.sandboxId)
    try {
      const preparing = policy && large.prepare(policy)
      if (preparing) await preparing
      giveAtOnce(record, policy, link, isNew)
    } catch (error) {
      if (policy) abandon(policy, link)
      throw error
    }
  }

  /** What there is of a policy that a pod didn't get. */
  function abandon(policy: KernelPolicy, link: string) {
    try {
      retrying(() =>
        firewall.transact((table) =>
          shared.suffixAt(link) === policy.suffix ? [] : shared.released(table, policy.suffix, link),
        ),
      )
    } catch {
      // Why the pod didn't get it is what there is to tell; this is garbage.
    }
  }

  function giveAtOnce(
    record: PodRecord,
    policy: KernelPolicy | undefined,
    link: string,
    isNew: (attempt: number) => boolean,
  ) {
    const entries = entriesOf(record, policy, link)
    retrying((attempt) => {
      firewall.transact((table) => {
        const before = isNew(attempt) ? undefined : shared.suffixAt(link)
        const earlier = before === policy?.suffix ? undefined : before
        const gone = earlier === undefined ? [] : shared.released(table, earlier, link)
        // A policy that is looked at here has the pod in the same step.
        const isLookedAt = policy !== undefined && !shared.isCurrent(policy)
        return [
          ...(policy ? shared.ensured(table, policy, link) : []),
          ...(isNew(attempt)
            ? []
            : [...(policy ? ledTo.renewed(table, record, policy) : []), ...forgotten(firewall, table, link)]),
          ...(isNew(attempt) ? created(table, entries) : added(table, entries)),
          ...gone,
          ...(earlier !== undefined && gone.length === 0
            ? ledTo.found(table, earlier, record.sandboxId)
            : []),
          ...others.join(
            table,
            record,
            ({ suffix }) =>
              (isLookedAt && suffix === policy.suffix) || (gone.length > 0 && suffix === earlier),
          ),
        ]
      })
      if (policy) shared.confirm(policy)
    })
  }

  /** What takes a pod out of everything. */
  function withdrawn(table: TableRef, { sandboxId }: PodRef, record: PodRecord | undefined): Change[] {
    const link = linkOf(sandboxId)
    const policy = record && policyOf(record)
    const suffix = shared.suffixAt(link) ?? policy?.suffix
    const gone = suffix ? shared.released(table, suffix, link) : []
    return [
      ...forgotten(firewall, table, link),
      ...gone,
      ...(suffix && gone.length === 0 ? ledTo.found(table, suffix, sandboxId, policy) : []),
      ...(record ? others.leave(table, record, (other) => gone.length > 0 && other.suffix === suffix) : []),
    ]
  }

  /** None where its policy limits nothing. */
  function policedPod(pod: PodRecord): PolicedPod[] {
    const policy = policyOf(pod)
    return policy ? [{ pod, policy, link: linkOf(pod.sandboxId) }] : []
  }

  /** Whether what the pod asks comes to this process, as far as the kernel knows. */
  function isLedHere(sandboxId: string): boolean {
    const resolver = naming.resolverOf({ sandboxId })
    return resolver !== undefined && isAnsweredAt(firewall, linkOf(sandboxId), resolver.port)
  }

  /**
   * Cuts what isn't allowed any more by the policies of other pods, after a pod got its own: they may speak of it, and have it too, and
   * it may have been put right.
   */
  async function cutOthers(record: PodRecord, isAsBefore: boolean) {
    const mended = shared.takeNarrowed()
    if (mended.size === 0 && (isAsBefore || others.areNone())) return
    const rest = pods.own().filter(({ sandboxId }) => sandboxId !== record.sandboxId)
    const have = rest.flatMap(policedPod)
    const isMended = ({ policy, link }: PolicedPod) =>
      mended.has(policy.suffix) && shared.suffixAt(link) === policy.suffix
    await past.cut(mended.size === 0 ? [] : have.filter(isMended))
    if (isAsBefore) return
    await past.cut(
      have.filter(({ policy }) => podSets(policy).length > 0),
      addressesIn([record]),
    )
  }

  /** The suffixes of what pods have, or get where a change is under way. */
  const wantedPolicies = () =>
    new Set(
      pods.recorded().flatMap(({ record }) => {
        if (typeof record !== 'object') return []
        return [record, { ...record, ...record.changing }].flatMap((one) => policyOf(one)?.suffix ?? [])
      }),
    )

  const areTablesThere = () => isThere(() => firewall.ask(tables.get))

  const isAnsweredHere = (record: PodRecord) =>
    !record.policy || !naming.serves(record.policy) || naming.resolverOf(record) !== undefined

  const isForNobody = (record: PodRecord) => !record.policy && others.areNone()

  return {
    assertPossible(record) {
      const { policy } = record
      if (!policy) return
      refuseBridge(record)
      compiling(record, () => compilePolicy(policy))
    },
    async add(record) {
      if (isForNobody(record)) return
      if (record.policy) refuseBridge(record)
      // Also of one without a policy: those of others let go on what an earlier pod of its addresses had begun.
      await past.forget(record)
      if (record.policy) {
        // What this process answered an earlier pod of its sandbox, which another one tore down, is nothing of this one's.
        naming.forget(record.sandboxId)
        await naming.serve(record)
      }
      others.announce(record)
      // What another process made anew from the records may be there already.
      await give(record, (attempt) => attempt === 1)
      await cutOthers(record, true)
    },
    async replace(record) {
      if (record.policy) refuseBridge(record)
      others.announce(record)
      await naming.serve(record, isLedHere(record.sandboxId) ? undefined : ledTo.isLed(record.sandboxId))
      await give(record, () => false)
      others.withdraw(record)
      await past.cut(policedPod(record))
      await cutOthers(record, false)
    },
    async exchangePeers(before, after) {
      if (firewall.problem !== undefined || others.areNone()) return
      let narrowed: ReadonlySet<string>
      try {
        narrowed = await retryingInTime(async () =>
          areTablesThere() ? others.exchange(before, after) : new Set<string>(),
        )
      } catch (error) {
        shared.doubt()
        throw error
      }
      if (narrowed.size === 0) return
      const concerned = pods
        .own()
        .flatMap(policedPod)
        .filter(({ policy }) => narrowed.has(policy.suffix))
      await past.cut(concerned, addressesIn([...before, ...after]))
    },
    async takeUp(record) {
      if (record.logGroup !== undefined) context.takeUpLog(record.logGroup)
      const link = linkOf(record.sandboxId)
      if (isAnsweredHere(record) || isAnsweredByAnybody(firewall, link)) return
      await naming.serve(record, ledTo.isLed(record.sandboxId))
      retrying(() => {
        const leading = entriesOf(record, undefined)
        firewall.transact((table) =>
          leading.flatMap(({ map, element }) => renewed(firewall, { ...table, set: map }, [element])),
        )
      })
    },
    remove(pod) {
      const record = isRecord(pod) ? pod : undefined
      if (firewall.problem === undefined && !(record && !record.changing && isForNobody(record))) {
        retrying(() => {
          if (!areTablesThere()) {
            // Somebody may be about to make them anew from what was written down before the pod left.
            firewall.restartRebuilds()
            if (!areTablesThere()) return
          }
          firewall.transact((table) => withdrawn(table, pod, record))
        })
        others.withdraw({ sandboxId: pod.sandboxId })
      }
      naming.forget(pod.sandboxId)
    },
    sweep() {
      if (firewall.problem !== undefined || !areTablesThere()) return
      retrying(() => firewall.transact((table) => shared.swept(table, wantedPolicies)))
    },
    concern: (record) => !isForNobody(record),
    isAnswered: isAnsweredHere,
    isLeftToOthers(record) {
      const answered = record.policy && answeredBy(record.policy)
      if (!answered || naming.resolverOf(record)) return false
      return answered.isNeeded || isAnsweredByAnybody(firewall, linkOf(record.sandboxId))
    },
    admit(record, groups, members) {
      const policy = policyOf(record)
      // Another process may have torn it down since it asked: whoever has its link next must not have what it was led to.
      if (policy && pods.isKept(record))
        retrying(() => firewall.transact((table) => ledTo.admitted(table, record, policy, groups, members)))
    },
    differences(record) {
      if (!record.policy) return []
      const policy = policyOf(record)
      const link = linkOf(record.sandboxId)
      const isRight =
        !policy ||
        (shared.suffixAt(link) === policy.suffix &&
          shared.isRight(policy) &&
          entriesOf(record, policy, link).every(({ map, element }) => hasElement(firewall, map, element.key)))
      return [
        ...(isRight ? [] : ['the rules of its policy were changed']),
        ...(answeredBy(record.policy)?.isNeeded && !isAnsweredByAnybody(firewall, link)
          ? ['nobody answers its questions for names any more']
          : []),
      ]
    },
    ...rebuilt,
  }
}

const addressesIn = (pods: readonly PodOfRules[]): ReadonlySet<string> =>
  new Set(pods.flatMap(({ addresses }) => addresses.map(({ address }) => address)))

const isRecord = (pod: PodRef & Partial<PodRecord>): pod is PodRecord => pod.addresses !== undefined

function compiling<T>(pod: WithPolicy, compile: () => T): T {
  try {
    return compile()
  } catch (error) {
    throw errors.INVALID_POLICY({ pod: podKey(pod), reason: messageOf(error) })
  }
}

function refuseBridge(record: WithPolicy) {
  if (record.datapath === 'bridge') throw errors.POLICY_NEEDS_ROUTED({ pod: podKey(record) })
}
