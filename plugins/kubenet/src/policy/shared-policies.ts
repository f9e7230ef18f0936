import {
  type Change,
  chains,
  type Element,
  elements,
  linkName,
  rules,
  sets,
  type TableRef,
} from '@podwire/netlink/nftables'
import type { Firewall } from '../firewall/firewall.ts'
import { policyMaps } from '../firewall/layout.ts'
import { ifThere, isThere } from './in-kernel.ts'
import { type KernelPolicy, suffixIn } from './kernel-policy.ts'
import {
  type Fixed,
  filled,
  fixedOf,
  groupOf,
  type MemberSet,
  type MembersOf,
  memberSets,
  objectsOf,
  type PolicySet,
  put,
  removals,
} from './objects.ts'
import {
  exchanged,
  isNarrowing,
  type Keys,
  keysInKernel,
  type PodOfRules,
  podSets,
  selectedKeys,
  without,
} from './pod-sets.ts'

/**
 * What the kernel has of policies: once for all pods of a policy, from the first on until the last one goes. The kernel says which pods
 * those are, of whatever process.
 */
export interface SharedPolicies {
  /**
   * Whether all of the policy is as it should be, as far as this process knows: whoever comes or goes is put into its sets, and taken
   * out, as long as some pod has it, and nobody else changed anything since.
   */
  isCurrent(policy: KernelPolicy): boolean
  /**
   * What there is to fill, in pieces, without the pods that it selects; undefined where it must be one step, as pods go by it. What
   * is there stays.
   */
  begun(table: TableRef, policy: KernelPolicy): Change[] | undefined
  /** What makes the policy as it should be, for a pod that is about to have it: nothing where it is current. */
  ensured(table: TableRef, policy: KernelPolicy, link: string): Change[]
  /** A set of it lost what is allowed, or got what is denied, as it is put right. */
  narrow(policy: KernelPolicy): void
  /** The suffixes of those that allow less than before since this was asked last: who has them may have connections that go on. */
  takeNarrowed(): ReadonlySet<string>
  /** The changes were made. @param look the firewall's, at that time */
  confirm(policy: KernelPolicy, look?: number): void
  /** Those that this process has to do with, whether the kernel has them or not. */
  known(): readonly KernelPolicy[]
  /** Nobody knows of any policy whether it has all pods. */
  doubt(): void
  /** What takes the policy away that a pod has no more; nothing where another one has it. */
  released(table: TableRef, suffix: string, link: string): Change[]
  /**
   * What takes away what a process that was killed left of policies: that no pod's link leads to.
   * @param wanted the suffixes of those that pods are about to have; asked after the look at what there is
   */
  swept(table: TableRef, wanted: () => ReadonlySet<string>): Change[]
  isRight(policy: KernelPolicy): boolean
  /** The suffix of the policy that a pod has in the kernel. */
  suffixAt(link: string): string | undefined
}

interface SharedPoliciesContext {
  readonly firewall: Firewall
  membersOf(policy: KernelPolicy): MembersOf
  /** Of all nodes. */
  pods(): readonly PodOfRules[]
}

interface Known {
  readonly policy: KernelPolicy
  /** Of some pods that have it, or had. */
  readonly links: Set<string>
  /** It is as it should be since then: a look of the firewall's. */
  since: number
}

export function createSharedPolicies({ firewall, membersOf, pods }: SharedPoliciesContext): SharedPolicies {
  const known = new Map<string, Known>()
  let narrowed = new Set<string>()

  function knownOf(policy: KernelPolicy): Known {
    const own = known.get(policy.suffix) ?? { policy, links: new Set(), since: -1 }
    known.set(policy.suffix, own)
    return own
  }

  const isUntouched = (suffix: string) => known.get(suffix)?.since === firewall.look

  function suffixAt(link: string): string | undefined {
    for (const set of Object.values(policyMaps)) {
      const found = ifThere(() => firewall.ask((table) => elements.get({ ...table, set }, linkName(link))))
      if (found) return suffixOf(found)
    }
    return undefined
  }

  const isFilled = ({ name, elements: wanted }: PolicySet) =>
    wanted.length === ifThere(() => firewall.ask((table) => elements.list({ ...table, set: name })))?.length

  const isFixedRight = ({ boxes, chains: own }: Fixed) =>
    own.every(
      ({ name, rules: wanted }) =>
        wanted.length ===
        (ifThere(() => firewall.ask((table) => rules.count({ ...table, chain: name }))) ?? 0),
    ) && boxes.every(isFilled)

  const isThereInPart = ({ boxes }: Fixed) =>
    boxes.some(({ name }) => isThere(() => firewall.ask((table) => elements.list({ ...table, set: name }))))

  /** The sets of pods, as they are and should be; undefined where one isn't there. */
  function podsIn(policy: KernelPolicy) {
    const all = podSets(policy)
    if (all.length === 0) return []
    const selectable = pods()
    const found: { readonly of: MemberSet; readonly there: Keys; readonly wanted: Keys }[] = []
    for (const of of all) {
      const there = ifThere(() => keysInKernel(firewall, of.set))
      if (!there) return undefined
      found.push({ of, there, wanted: selectedKeys(selectable, of.group.pods, of.family) })
    }
    return found
  }

  /** What names led to is added to: the rest of it another process knows. */
  const namesAdded = (table: TableRef, policy: KernelPolicy): Change[] =>
    memberSets(policy)
      .filter(({ group }) => group.kind === 'names')
      .flatMap((of) => filled(table, groupOf(of, membersOf(policy))))

  function isUsedByOthers(suffix: string, link: string | undefined): boolean {
    const links = known.get(suffix)?.links ?? new Set()
    for (const other of links) {
      if (other === link) continue
      if (suffixAt(other) === suffix) return true
      links.delete(other)
    }
    const own = link === undefined ? undefined : linkName(link)
    return firewall
      .ask((table) => elements.list({ ...table, set: policyMaps.egress }))
      .some((element) => !own?.equals(element.key) && suffixOf(element) === suffix)
  }

  const inKernel = () => ({
    chains: firewall.ask(chains.list).map(({ chain }) => chain),
    sets: firewall.ask(sets.list).map(({ set }) => set),
  })

  /** Whatever there is of some policies: by what names end with. */
  function leftovers(
    table: TableRef,
    isGone: (suffix: string) => boolean,
    there: { readonly chains: readonly string[]; readonly sets: readonly string[] } = inKernel(),
  ): Change[] {
    const isLeft = (name: string) => isGone(suffixIn(name) ?? '')
    return [
      ...there.chains.filter(isLeft).map((chain) => chains.del({ ...table, chain })),
      ...there.sets.filter(isLeft).map((set) => sets.del({ ...table, set })),
    ].flat()
  }

  return {
    isCurrent: ({ suffix }) => isUntouched(suffix),
    begun(table, policy) {
      knownOf(policy)
      if (isFixedRight(fixedOf(policy))) return namesAdded(table, policy)
      if (isUsedByOthers(policy.suffix, undefined)) return undefined
      const members = membersOf(policy)
      return put(
        table,
        objectsOf(policy, (of) => (of.group.kind === 'pods' ? [] : members(of))),
      )
    },
    ensured(table, policy, link) {
      knownOf(policy).links.add(link)
      if (isUntouched(policy.suffix)) return []
      const groups = isFixedRight(fixedOf(policy)) ? podsIn(policy) : undefined
      if (!groups) {
        // What the rules were that somebody changed, nobody knows.
        if (isThereInPart(fixedOf(policy))) narrowed.add(policy.suffix)
        return put(table, objectsOf(policy, membersOf(policy)))
      }
      return [
        ...groups.flatMap(({ of, there, wanted }) => {
          const [went, came] = [without(there, wanted), without(wanted, there)]
          if (isNarrowing(of, went, came)) narrowed.add(policy.suffix)
          return exchanged({ ...table, set: of.set }, went, came)
        }),
        ...namesAdded(table, policy),
      ]
    },
    narrow({ suffix }) {
      narrowed.add(suffix)
    },
    takeNarrowed() {
      const taken = narrowed
      narrowed = new Set()
      return taken
    },
    confirm({ suffix }, look = firewall.look) {
      const own = known.get(suffix)
      if (own) own.since = look
    },
    known: () => [...known.values()].map(({ policy }) => policy),
    doubt() {
      for (const own of known.values()) own.since = -1
    },
    released(table, suffix, link) {
      const own = known.get(suffix)
      if (isUsedByOthers(suffix, link)) {
        own?.links.delete(link)
        return []
      }
      const isKnown = own !== undefined && isUntouched(suffix)
      known.delete(suffix)
      return isKnown ? removals(table, own.policy) : leftovers(table, (one) => one === suffix)
    },
    swept(table, wanted) {
      const there = inKernel()
      const used = Object.values(policyMaps)
        .flatMap((set) => firewall.ask((own) => elements.list({ ...own, set })))
        .map(suffixOf)
      const kept = new Set([...used, ...wanted()])
      const gone = new Set(
        [...there.chains, ...there.sets].map(suffixIn).filter((suffix) => suffix && !kept.has(suffix)),
      )
      for (const suffix of gone) if (suffix) known.delete(suffix)
      return leftovers(table, (suffix) => gone.has(suffix), there)
    },
    isRight(policy) {
      const isTrusted = firewall.isIntact()
      if (isTrusted && isUntouched(policy.suffix)) return true
      const { look } = firewall
      const isRight =
        isFixedRight(fixedOf(policy)) &&
        (podsIn(policy)?.every(({ there, wanted }) => isSame(there, wanted)) ?? false)
      // It need not be looked at for each pod that has it.
      if (isRight && isTrusted) knownOf(policy).since = look
      return isRight
    },
    suffixAt,
  }
}

const isSame = (some: Keys, others: Keys) =>
  some.size === others.size && [...some].every((key) => others.has(key))

/** Of the policy that an element leads to. */
function suffixOf(element: Element | undefined): string | undefined {
  const value = element?.value
  return typeof value === 'object' && 'jump' in value ? suffixIn(value.jump) : undefined
}
