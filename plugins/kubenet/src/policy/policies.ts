import { errnoOf, messageOf, type PodRef, podKey } from '@podwire/api'
import {
  type Change,
  chains,
  elements,
  linkName,
  rules,
  sets,
  type TableRef,
  tables,
} from '@podwire/netlink/nftables'
import { encodeIp } from '@podwire/netlink/transport'
import { errors } from '../errors.ts'
import type { Firewall } from '../firewall/firewall.ts'
import { families, layouts, policyMaps, setNames } from '../firewall/layout.ts'
import { familyOf } from '../ipam/cidr.ts'
import { isUdpPortOpen } from '../kernel/udp-ports.ts'
import type { PodRecord } from '../pod-record.ts'
import { type CompiledPolicy, compilePolicy, type Direction } from './compile.ts'
import { familiesOf, passes, triedBy } from './connections.ts'
import { hasElement as hasElementIn, ifThere, isThere, removed, renewed } from './in-kernel.ts'
import { hasNames, type Naming } from './naming.ts'
import {
  additions,
  groupSet,
  type Member,
  type MembersOf,
  memberSets,
  objectsOf,
  type PolicyObjects,
  removals,
  suffixOf,
} from './objects.ts'
import { addressesOf, createOthersPolicies } from './others-policies.ts'
import type { PolicedPod } from './rules.ts'
import { isSelected } from './selectors.ts'

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
  /** Whether this process answers the pod's DNS, where its policy has names. */
  isAnswered(pod: PodRecord): boolean
  /** Lets a pod connect to what its names lead to. @param groups where they stand among what its egress allows */
  admit(pod: PodRecord, groups: readonly number[], members: readonly Member[]): void
  /** In what the kernel's rules differ, each in a phrase. */
  differences(pod: PodRecord): string[]
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
  /** Addresses of the host itself. */
  hostAddresses(): Promise<ReadonlySet<string>>
  readonly naming: Naming
}

// How often a change is begun anew because pods of other processes came or went meanwhile.
const maxAttempts = 5

export function createPolicies(context: PolicyContext): Policies {
  const { firewall, linkOf, naming } = context
  const others = createOthersPolicies({
    firewall,
    stateDir: context.stateDir,
    read: readOr,
    isPresent,
    memberSets: (record) => memberSets(compile(record), policed(record)),
  })

  function policed(record: PodRecord): PolicedPod {
    const resolver = naming.resolverOf(record)
    return {
      link: linkOf(record.sandboxId),
      families: familiesOf(record.addresses.map(({ address }) => address)),
      logGroup: record.logGroup ?? context.logGroup(),
      ...(resolver
        ? { resolver: { port: resolver.port, addresses: record.addresses.map(({ gateway }) => gateway) } }
        : {}),
    }
  }

  function compile(record: WithPolicy): CompiledPolicy {
    try {
      return compilePolicy(record.policy ?? {})
    } catch (error) {
      throw errors.INVALID_POLICY({ pod: podKey(record), reason: messageOf(error) })
    }
  }

  function readOr(sandboxId: string) {
    try {
      return context.read(sandboxId)
    } catch {
      return undefined
    }
  }

  /** A pod that is being torn down is part of no policy, and has none, as soon as nothing can come from it or reach it. */
  function isPresent({ leaving, sandboxId }: PodRecord) {
    return !leaving || context.hasLink(linkOf(sandboxId))
  }

  function objects(record: PodRecord, present: () => readonly PodRecord[]): PolicyObjects {
    const policy = compile(record)
    const membersOf: MembersOf = ({ direction, list, index, group, family }) =>
      group.kind === 'names'
        ? isLedTo(direction, list)
          ? naming.membersOf(record.sandboxId, index, family)
          : []
        : present()
            .filter((other) => isSelected(group.pods, other))
            .flatMap((other) => addressesOf(other, family))
    return objectsOf(policed(record), policy, membersOf)
  }

  const everybody = () =>
    context
      .ids()
      .flatMap((sandboxId) => readOr(sandboxId) ?? [])
      .filter(isPresent)

  const hasElement = (set: string, key: Uint8Array) => hasElementIn(firewall, set, key)

  /** Removes what there is, whatever it is: by what names end with. */
  function leftovers(table: TableRef, link: string): Change[] {
    const suffix = suffixOf(link)
    const key = linkName(link)
    const ownChains = firewall.ask(chains.list).filter(({ chain }) => chain.endsWith(suffix))
    const ownSets = firewall.ask(sets.list).filter(({ set }) => set.endsWith(suffix))
    return [
      ...entryMaps.flatMap((map) => removed(firewall, { ...table, set: map }, [key])),
      ...ownChains.map(({ chain }) => chains.del({ ...table, chain })),
      ...ownSets.map(({ set }) => sets.del({ ...table, set })),
    ]
  }

  function retrying(act: (attempt: number) => void) {
    for (let attempt = 1; ; attempt++) {
      try {
        return act(attempt)
      } catch (error) {
        // Another process's pod came, or went, between the look and the change.
        if (!['ENOENT', 'EEXIST', 'EBUSY'].includes(errnoOf(error) ?? '') || attempt === maxAttempts)
          throw error
      }
    }
  }

  const areTablesThere = () => isThere(() => firewall.ask(tables.get))

  const isAnsweredHere = (record: PodRecord) =>
    !record.policy || !hasNames(record.policy) || naming.resolverOf(record) !== undefined

  const isForNobody = (record: PodRecord) => !record.policy && others.areNone()

  return {
    assertPossible(record) {
      if (!record.policy) return
      refuseBridge(record)
      compile(record)
    },
    async add(record) {
      if (isForNobody(record)) return
      if (record.policy) {
        refuseBridge(record)
        await forgetEarlier(record)
        await naming.serve(record)
      }
      others.announce(record)
      retrying((attempt) => {
        const wanted = objects(record, everybody)
        // What another process made anew from the records may be there already.
        const isNew = attempt === 1
        firewall.transact((table) => [
          ...(isNew ? [] : leftovers(table, linkOf(record.sandboxId))),
          ...additions(table, wanted, isNew ? 'create' : 'add'),
          ...others.join(table, record),
        ])
      })
    },
    async replace(record) {
      if (record.policy) refuseBridge(record)
      others.announce(record)
      await naming.serve(record)
      retrying(() => {
        const wanted = objects(record, everybody)
        firewall.transact((table) => [
          ...leftovers(table, linkOf(record.sandboxId)),
          ...additions(table, wanted),
          ...others.join(table, record),
        ])
      })
      await cut(record)
    },
    async takeUp(record) {
      if (record.logGroup !== undefined) context.takeUpLog(record.logGroup)
      if (isAnsweredHere(record) || isAnsweredByAnybody(record)) return
      await naming.serve(record)
      retrying(() => {
        const leading = objects(record, everybody).entries.filter(({ map }) => resolverMaps.includes(map))
        firewall.transact((table) =>
          leading.flatMap(({ map, element }) => renewed(firewall, { ...table, set: map }, [element])),
        )
      })
    },
    remove(pod) {
      naming.forget(pod.sandboxId)
      if (firewall.problem !== undefined) return
      const link = linkOf(pod.sandboxId)
      const record = isRecord(pod) ? pod : undefined
      const isUnknown = !record || record.changing !== undefined
      if (!isUnknown && isForNobody(record)) return
      retrying((attempt) => {
        if (!areTablesThere()) {
          // Somebody may be about to make them anew from what was written down before the pod left.
          firewall.restartRebuilds()
          if (!areTablesThere()) return
        }
        const known = isUnknown || attempt > 1 ? undefined : objects(record, () => [])
        firewall.transact((table) => [
          ...(known ? removals(table, known) : leftovers(table, link)),
          ...(record ? others.leave(table, record) : []),
        ])
      })
      others.withdraw(pod.sandboxId)
    },
    concern: (record) => !isForNobody(record),
    isAnswered: isAnsweredHere,
    admit(record, groups, members) {
      const wanted = memberSets(compile(record), policed(record)).filter(
        ({ direction, list, index }) => isLedTo(direction, list) && groups.includes(index),
      )
      retrying(() =>
        firewall.transact((table) =>
          wanted.flatMap(({ set, family }) => {
            const own = members.filter(({ address }) => address.length === layouts[family].bytes)
            return renewed(
              firewall,
              { ...table, set },
              own.map(({ address, timeout }) => ({ key: address, timeout })),
            )
          }),
        ),
      )
    },
    differences(record) {
      if (!record.policy) return []
      const wanted = objects(record, everybody)
      const isRight =
        wanted.entries.every(({ map, element }) => hasElement(map, element.key)) &&
        wanted.chains.every(
          ({ name, rules: own }) =>
            own.length ===
            (ifThere(() => firewall.ask((table) => rules.count({ ...table, chain: name }))) ?? 0),
        ) &&
        wanted.sets.every(
          ({ name, set, elements: own }) =>
            set.timeout !== undefined ||
            own.length ===
              ifThere(() => firewall.ask((table) => elements.list({ ...table, set: name })))?.length,
        )
      return [
        ...(isRight ? [] : ['the rules of its policy were changed']),
        ...(hasNames(record.policy) && !isAnsweredByAnybody(record)
          ? ['nobody answers its questions for names any more']
          : []),
      ]
    },
    rebuilt(table) {
      const all = context.ids().map((sandboxId) => {
        try {
          return { sandboxId, record: context.read(sandboxId) }
        } catch {
          return { sandboxId, record: 'unreadable' as const }
        }
      })
      const present = all.flatMap(({ record }) =>
        typeof record === 'object' && isPresent(record) ? [record] : [],
      )
      return all.flatMap(({ sandboxId, record }) => {
        if (typeof record === 'object')
          return record.policy && isPresent(record)
            ? additions(
                table,
                objects(record, () => present),
              )
            : []
        // Nobody knows what it may do.
        return record === 'unreadable' ? cutOff(table, linkOf(sandboxId)) : []
      })
    },
  }

  /** Whether somebody listens where the pod's questions are led, this process or another one. */
  function isAnsweredByAnybody({ sandboxId }: PodRecord): boolean {
    const key = linkName(linkOf(sandboxId))
    const found = families
      .map((family) => setNames(family).resolvers)
      .flatMap(
        (set) => ifThere(() => firewall.ask((table) => elements.get({ ...table, set }, key)))?.value ?? [],
      )
    // The value is an address and a port, in network order.
    const ports = found.flatMap((value) =>
      value instanceof Uint8Array ? [Buffer.from(value).readUInt16BE(value.length - 4)] : [],
    )
    return ports.length > 0 && ports.every(isUdpPortOpen)
  }

  /** What whoever had the addresses before had begun must not go on for this pod. */
  async function forgetEarlier({ addresses }: PodRecord) {
    const own = addresses.map(({ address }) => address)
    await firewall.forgetConnections((connection) => triedBy(connection, own).length > 0)
  }

  async function cut(record: PodRecord) {
    const policy = compile(record)
    const addresses = record.addresses.map(({ address }) => address)
    const hosts = await context.hostAddresses()
    const link = linkOf(record.sandboxId)
    await firewall.forgetConnections((connection) =>
      triedBy(connection, addresses).some(
        (tried) =>
          !passes(policy, tried, {
            isHost: (address) => hosts.has(address),
            has: (direction, list, index, address) =>
              hasElement(groupSet(direction, list, index, familyOf(address) ?? 4, link), encodeIp(address)),
          }),
      ),
    )
  }
}

const resolverMaps: readonly string[] = families.map((family) => setNames(family).resolvers)

const entryMaps = [...Object.values(policyMaps), ...resolverMaps]

const cutOff = (table: TableRef, link: string): Change[] =>
  Object.values(policyMaps).flatMap((map) =>
    elements.add({ ...table, set: map }, [{ key: linkName(link), value: 'drop' }]),
  )

/** Names lead a pod to addresses where its egress allows them, and nowhere else. */
const isLedTo = (direction: Direction, list: 'allow' | 'deny') => direction === 'egress' && list === 'allow'

const isRecord = (pod: PodRef & Partial<PodRecord>): pod is PodRecord => pod.addresses !== undefined

function refuseBridge(record: WithPolicy) {
  if (record.datapath === 'bridge') throw errors.POLICY_NEEDS_ROUTED({ pod: podKey(record) })
}
