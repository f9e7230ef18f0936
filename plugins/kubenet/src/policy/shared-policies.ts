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
import { ifThere } from './in-kernel.ts'
import { type KernelPolicy, suffixIn } from './kernel-policy.ts'
import {
  filled,
  type MembersOf,
  objectsOf,
  type PolicyObjects,
  type PolicySet,
  put,
  removals,
} from './objects.ts'

/**
 * What the kernel has of policies: once for all pods of a policy, from the first on until the last one goes. The kernel says which pods
 * those are, of whatever process.
 */
export interface SharedPolicies {
  /** What makes the policy as it should be, for a pod that is about to have it. Nothing where nobody can have touched it. */
  ensured(table: TableRef, policy: KernelPolicy, link: string): Change[]
  /** The changes were made. */
  confirm(policy: KernelPolicy): void
  /** What takes the policy away that a pod has no more; nothing where another one has it. */
  released(table: TableRef, suffix: string, link: string): Change[]
  isRight(policy: KernelPolicy): boolean
  /** The suffix of the policy that a pod has in the kernel. */
  suffixAt(link: string): string | undefined
}

interface SharedPoliciesContext {
  readonly firewall: Firewall
  membersOf(policy: KernelPolicy): MembersOf
}

interface Known {
  readonly policy: KernelPolicy
  /** Of some pods that have it, or had. */
  readonly links: Set<string>
  /** It is as it should be since then: a look of the firewall's. */
  since: number
}

export function createSharedPolicies({ firewall, membersOf }: SharedPoliciesContext): SharedPolicies {
  const known = new Map<string, Known>()

  const objects = (policy: KernelPolicy) => objectsOf(policy, membersOf(policy))

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

  const isFixedRight = ({ boxes, chains: own }: PolicyObjects) =>
    own.every(
      ({ name, rules: wanted }) =>
        wanted.length ===
        (ifThere(() => firewall.ask((table) => rules.count({ ...table, chain: name }))) ?? 0),
    ) && boxes.every(isFilled)

  function isUsedByOthers(suffix: string, link: string): boolean {
    const links = known.get(suffix)?.links ?? new Set()
    for (const other of links) {
      if (other === link) continue
      if (suffixAt(other) === suffix) return true
      links.delete(other)
    }
    const own = linkName(link)
    return firewall
      .ask((table) => elements.list({ ...table, set: policyMaps.egress }))
      .some((element) => !own.equals(element.key) && suffixOf(element) === suffix)
  }

  /** Whatever there is of a policy: by what names end with. */
  function leftovers(table: TableRef, suffix: string): Change[] {
    const own = firewall.ask(chains.list).filter(({ chain }) => chain.endsWith(suffix))
    const ownSets = firewall.ask(sets.list).filter(({ set }) => set.endsWith(suffix))
    return [
      ...own.map(({ chain }) => chains.del({ ...table, chain })),
      ...ownSets.map(({ set }) => sets.del({ ...table, set })),
    ]
  }

  return {
    ensured(table, policy, link) {
      const { suffix } = policy
      const links = known.get(suffix)?.links ?? new Set()
      known.set(suffix, { policy, links: links.add(link), since: known.get(suffix)?.since ?? -1 })
      const isRight = isUntouched(suffix)
      if (isRight && !selectsPods(policy)) return []
      const wanted = objects(policy)
      // Which pods it selects may have changed unheard, while none that has it was there, or only one that goes.
      return isRight || isFixedRight(wanted)
        ? wanted.groups.flatMap((of) => filled(table, of))
        : put(table, wanted)
    },
    confirm({ suffix }) {
      const own = known.get(suffix)
      if (own) own.since = firewall.look
    },
    released(table, suffix, link) {
      const own = known.get(suffix)
      if (isUsedByOthers(suffix, link)) {
        own?.links.delete(link)
        return []
      }
      const isKnown = own !== undefined && isUntouched(suffix)
      known.delete(suffix)
      return isKnown ? removals(table, objects(own.policy)) : leftovers(table, suffix)
    },
    isRight(policy) {
      const wanted = objects(policy)
      // What names lead to comes and goes.
      const pods = wanted.groups.filter(({ group }) => group.kind === 'pods')
      return isFixedRight(wanted) && pods.every(isFilled)
    },
    suffixAt,
  }
}

const selectsPods = ({ policy }: KernelPolicy) =>
  Object.values(policy).some(({ allow, deny }) => [...allow, ...deny].some(({ kind }) => kind === 'pods'))

/** Of the policy that an element leads to. */
function suffixOf(element: Element | undefined): string | undefined {
  const value = element?.value
  return typeof value === 'object' && 'jump' in value ? suffixIn(value.jump) : undefined
}
