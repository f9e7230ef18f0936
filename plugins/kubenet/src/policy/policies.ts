import { messageOf, type PodRef, podKey } from '@podwire/api'
import { type Change, type TableRef, tables } from '@podwire/netlink/nftables'
import { errors } from '../errors.ts'
import type { Firewall } from '../firewall/firewall.ts'
import { isSamePod, type PodRecord } from '../pod-record.ts'
import { answeredBy } from './answered.ts'
import { compilePolicy } from './compile.ts'
import { familiesOf } from './connections.ts'
import { hasElement, isThere, renewed, retrying } from './in-kernel.ts'
import { type KernelPolicy, kernelPolicyOf } from './kernel-policy.ts'
import { createLedTo } from './led-to.ts'
import {
  added,
  cutOff,
  forgotten,
  isAnsweredAt,
  isAnsweredByAnybody,
  type LinkEntry,
  policyEntries,
  resolverEntries,
} from './link-entries.ts'
import type { Member, Naming } from './naming.ts'
import { type MembersOf, objectsOf, put } from './objects.ts'
import { addressesOf, createOthersPolicies, type PodOfRules } from './others-policies.ts'
import type { PastConnections, PolicedPod } from './past-connections.ts'
import { isSelected } from './selectors.ts'
import { createSharedPolicies } from './shared-policies.ts'

/** What pods' policies are in the kernel. Each change is one transaction: at no moment is a pod without rules. */
export interface Policies {
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
  /** What cuts all pods off that have policies, in empty tables. */
  shut(table: TableRef): Change[]
  /** What makes the policies of all pods in empty tables. Pods whose record can't be read are cut off. */
  rebuilt(table: TableRef): Change[]
}

type WithPolicy = Pick<PodRecord, 'namespace' | 'name' | 'datapath' | 'policy'>

interface PolicyContext {
  readonly firewall: Firewall
  readonly stateDir: string
  /** Where what is denied is told by this process. */
  logGroup(): number
  /** Tells what is denied where an earlier process did. */
  takeUpLog(group: number): void
  linkOf(sandboxId: string): string
  hasLink(name: string): boolean
  read(sandboxId: string): PodRecord | undefined
  ids(): string[]
  readonly past: PastConnections
  /** Pods of other nodes. */
  peers(): readonly PodOfRules[]
  readonly naming: Naming
}

export function createPolicies(context: PolicyContext): Policies {
  const { firewall, linkOf, naming, past } = context
  const shared = createSharedPolicies({ firewall, membersOf: (policy) => membersOf(policy, everybody) })
  const ledTo = createLedTo({ firewall, naming, isAnsweredHere: isLedHere, linkOf })
  const others = createOthersPolicies({
    firewall,
    stateDir: context.stateDir,
    read: readOr,
    own: ownPods,
    kernelPolicyOf: policyOf,
  })

  function policyOf(record: PodRecord): KernelPolicy | undefined {
    const { policy, addresses } = record
    if (!policy) return undefined
    const families = familiesOf(addresses.map(({ address }) => address))
    return compiling(record, () => kernelPolicyOf(policy, families, record.logGroup ?? context.logGroup()))
  }

  function readOr(sandboxId: string) {
    try {
      return context.read(sandboxId)
    } catch {
      return undefined
    }
  }

  /** All pods of this host, with those of which nobody knows what they may do. */
  const recorded = () =>
    context.ids().map((sandboxId) => {
      try {
        return { sandboxId, record: context.read(sandboxId) }
      } catch {
        return { sandboxId, record: 'unreadable' as const }
      }
    })

  /** A pod that is being torn down is part of no policy, and has none, as soon as nothing can come from it or reach it. */
  function isPresent({ leaving, sandboxId }: PodRecord) {
    return !leaving || context.hasLink(linkOf(sandboxId))
  }

  function ownPods(): readonly PodRecord[] {
    return context
      .ids()
      .flatMap((sandboxId) => readOr(sandboxId) ?? [])
      .filter(isPresent)
  }

  const everybody = () => [...ownPods(), ...context.peers()]

  /** Not where another process tore it down. */
  function isKept(pod: PodRecord): boolean {
    const now = readOr(pod.sandboxId)
    return now !== undefined && !now.leaving && isSamePod(now, pod)
  }

  const membersOf =
    (policy: KernelPolicy, present: () => readonly PodOfRules[]): MembersOf =>
    (of) =>
      of.group.kind === 'names'
        ? naming
            .pods()
            .filter((pod) => policyOf(pod)?.suffix === policy.suffix && isKept(pod))
            .flatMap((pod) => ledTo.elementsOf(pod, of))
        : withoutTwins(
            present()
              .filter((pod) => isSelected(of.group.pods, pod))
              .flatMap((pod) => addressesOf(pod, of.family)),
          ).map((key) => ({ key }))

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

  /** In one transaction: the policy, the pod's way to it, and the pod in the policies of others. */
  function give(record: PodRecord, isNew: (attempt: number) => boolean) {
    const policy = policyOf(record)
    const link = linkOf(record.sandboxId)
    const entries = entriesOf(record, policy, link)
    retrying((attempt) => {
      firewall.transact((table) => {
        const before = isNew(attempt) ? undefined : shared.suffixAt(link)
        const earlier = before === policy?.suffix ? undefined : before
        const gone = earlier === undefined ? [] : shared.released(table, earlier, link)
        return [
          ...(policy ? shared.ensured(table, policy, link) : []),
          ...(isNew(attempt)
            ? []
            : [...(policy ? ledTo.renewed(table, record, policy) : []), ...forgotten(firewall, table, link)]),
          ...added(table, entries),
          ...gone,
          ...(earlier !== undefined && gone.length === 0
            ? ledTo.found(table, earlier, record.sandboxId)
            : []),
          ...others.join(
            table,
            record,
            ({ suffix }) => suffix === policy?.suffix || (gone.length > 0 && suffix === earlier),
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
      ...(suffix && gone.length === 0 ? ledTo.found(table, suffix, sandboxId) : []),
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
      if (record.policy) {
        refuseBridge(record)
        await past.forget(record)
        // What this process answered an earlier pod of its sandbox, which another one tore down, is nothing of this one's.
        naming.forget(record.sandboxId)
        await naming.serve(record)
      }
      others.announce(record)
      // What another process made anew from the records may be there already.
      give(record, (attempt) => attempt === 1)
    },
    async replace(record) {
      if (record.policy) refuseBridge(record)
      others.announce(record)
      await naming.serve(record, isLedHere(record.sandboxId) ? undefined : ledTo.isLed(record.sandboxId))
      give(record, () => false)
      others.withdraw(record)
      await past.cut(policedPod(record))
    },
    async exchangePeers(before, after) {
      if (firewall.problem !== undefined || others.areNone()) return
      let narrowed: ReadonlySet<string> = new Set()
      retrying(() => {
        if (!areTablesThere()) return
        const exchange = others.exchange(before, after)
        narrowed = exchange.narrowed
        for (const change of exchange.changes) firewall.transact(change)
      })
      if (narrowed.size === 0) return
      const pods = ownPods().flatMap(policedPod)
      const concerned = pods.filter(({ policy }) => narrowed.has(policy.suffix))
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
      if (policy && isKept(record))
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
    shut: (table) =>
      recorded().flatMap(({ sandboxId, record }) =>
        record === 'unreadable' || record?.policy ? cutOff(table, linkOf(sandboxId)) : [],
      ),
    rebuilt(table) {
      const all = recorded()
      const present = all.flatMap(({ record }) =>
        typeof record === 'object' && isPresent(record) ? [record] : [],
      )
      const selectable = [...present, ...context.peers()]
      const own = present.flatMap((pod) => policyOf(pod) ?? [])
      return [
        ...[...new Map(own.map((policy) => [policy.suffix, policy])).values()].flatMap((policy) =>
          put(
            table,
            objectsOf(
              policy,
              membersOf(policy, () => selectable),
            ),
          ),
        ),
        ...added(
          table,
          present.flatMap((pod) => entriesOf(pod, policyOf(pod))),
        ),
        // Nobody knows what it may do.
        ...all.flatMap(({ sandboxId, record }) =>
          record === 'unreadable' ? cutOff(table, linkOf(sandboxId)) : [],
        ),
      ]
    },
  }
}

/** An address that two pods are said to have is one element. */
const withoutTwins = (addresses: readonly Buffer[]): readonly Buffer[] => [
  ...new Map(addresses.map((address) => [address.toString('hex'), address])).values(),
]

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
