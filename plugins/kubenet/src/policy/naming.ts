import { type DeniedFlow, type Logger, messageOf, type Policy } from '@podwire/api'
import { encodeIp } from '@podwire/netlink/transport'
import { addressToNumber, familyOf, type IpFamily } from '../ipam/cidr.ts'
import type { PodRecord } from '../pod-record.ts'
import { type CompiledSide, compilePolicy, type Group } from './compile.ts'
import { createNameMatcher, parseNamePattern } from './names/matcher.ts'
import type { Decision, Refusal, Resolver, ResolverOptions } from './names/resolver.ts'
import type { PodOfRules } from './others-policies.ts'
import { isSelected } from './selectors.ts'

/** An address that a name led to, in network order. */
export interface Member {
  readonly address: Buffer
  /** In milliseconds. */
  readonly timeout: number
}

/** Answers the DNS of pods whose policies have names. */
export interface Naming {
  /**
   * Sees to it that the pod is answered by this process from now on.
   * @param isLed where another process may have answered it meanwhile, or have set a pod up anew: whether the kernel lets the pod connect
   * to an address
   */
  serve(pod: PodRecord, isLed?: (address: string) => boolean): Promise<void>
  /** Where what the pod asks goes to; undefined: this process doesn't answer it. */
  resolverOf(pod: Pick<PodRecord, 'sandboxId'>): { readonly port: number } | undefined
  forget(sandboxId: string): void
  /** Whom this process answers. */
  pods(): readonly PodRecord[]
  /** The addresses that names of a group lead to now. @param group where it stands among what the pod's egress allows */
  membersOf(sandboxId: string, group: number, family: IpFamily): readonly Member[]
  /** All addresses that names have led the pod to; undefined where another process may have led it to more. */
  allLedTo(sandboxId: string): readonly string[] | undefined
  /** The name that led the pod to an address. */
  nameOf(sandboxId: string, address: string): string | undefined
  close(): Promise<void>
}

interface NamingContext {
  readonly log: Logger
  /** Empty: whom the host asks. */
  readonly servers: readonly string[]
  pods(): readonly PodRecord[]
  /** The pod of another node that has these names. */
  peerNamed(namespace: string, name: string): PodOfRules | undefined
  /** Lets the pod connect to addresses that a name of these groups led to. */
  admit(pod: PodRecord, groups: readonly number[], members: readonly Member[]): void
  denied(pod: PodRecord, flow: Pick<DeniedFlow, 'protocol' | 'port' | 'name' | 'rule' | 'address'>): void
}

interface Served extends Names {
  readonly pod: PodRecord
  readonly port: number
  readonly egress: CompiledSide
  /** By address: the name, and until when, in milliseconds since 1970. */
  readonly admitted: Map<string, { readonly name: string; readonly until: number }>
  /** What is admitted is all that there is of the pod's. */
  readonly isAll: boolean
}

const DNS_PORT = 53
const POD_SUFFIX = '.pod'

/** An answer that is kept this much longer than the kernel lets it be used is put in again. Milliseconds. */
const slackMs = 30_000

/** The kernel takes an address out a moment after its time is over here. Milliseconds. */
const lateMs = 30_000

/**
 * More addresses than this no pod needs at a time, and no answers of a name server fill the kernel's memory, nor all the room that
 * the pods of a policy have together.
 */
export const MOST_ADMITTED = 4_096

export const hasNames = ({ egress }: Policy) => (egress?.allow ?? []).some(({ host }) => host !== undefined)

export function createNaming(context: NamingContext): Naming {
  const { log } = context
  const resolvers = new Map<string, Promise<Resolver>>()
  const served = new Map<string, Served>()
  const byAddress = new Map<string, Served>()

  // One for each set of the host's addresses in the networks of pods: mostly one.
  function resolverAt(addresses: readonly string[]): Promise<Resolver> {
    const key = addresses.join()
    const running = resolvers.get(key)
    if (running) return running
    const starting = startResolver({
      ...(context.servers.length > 0 ? { upstreams: { servers: context.servers } } : {}),
      listen: { addresses, port: 0 },
      decide,
      admit,
      permits,
      onRefused,
      log,
    })
    resolvers.set(key, starting)
    // The next who needs it tries again.
    starting.catch(() => resolvers.delete(key))
    return starting
  }

  function decide(source: string, name: string): Decision {
    const one = byAddress.get(source)
    if (!one) return 'refuse'
    if (name.endsWith(POD_SUFFIX)) {
      const addresses = addressesOfPod(one, name.slice(0, -POD_SUFFIX.length))
      return addresses.length > 0 ? { addresses } : 'refuse'
    }
    return one.denied(name).length === 0 && one.groups(name).length > 0 ? 'allow' : 'refuse'
  }

  /** `web.default` is the pod `default/web`. */
  function addressesOfPod({ egress }: Served, name: string): string[] {
    const at = name.lastIndexOf('.')
    const [podName, namespace] = [name.slice(0, at), name.slice(at + 1)]
    const isNamed = (other: PodRecord) => other.name === podName && other.namespace === namespace
    // A pod of this node first: nothing that others say takes its name from it.
    const pod: PodOfRules | undefined = context.pods().find(isNamed) ?? context.peerNamed(namespace, podName)
    if (!pod) return []
    const isIn = (groups: readonly Group[]) => groups.some(({ pods }) => isSelected(pods, pod))
    if (isIn(egress.deny)) return []
    const own = pod.addresses.map(({ address }) => address)
    return isIn(egress.allow) ? own : own.filter((address) => isAllowed(egress, address))
  }

  async function admit(
    source: string,
    name: string,
    addresses: readonly { readonly address: string; readonly ttl: number }[],
  ) {
    const one = byAddress.get(source)
    if (!one) throw new Error(`no pod has ${source} any more`)
    const now = Date.now()
    const fresh = addresses.filter(({ address, ttl }) => {
      const known = one.admitted.get(address)
      return known?.name !== name || known.until + slackMs < now + ttl * 1000
    })
    if (fresh.length === 0) return
    for (const [address, { until }] of one.admitted) if (until + lateMs < now) one.admitted.delete(address)
    if (one.admitted.size + fresh.length > MOST_ADMITTED)
      throw new Error(`names have led ${source} to ${one.admitted.size} addresses already`)
    const members = fresh.map(({ address, ttl }) => ({
      address: encodeIp(address),
      timeout: ttl * 1000 + slackMs,
    }))
    context.admit(one.pod, one.groups(name), members)
    for (const { address, ttl } of fresh)
      one.admitted.set(address, { name, until: now + ttl * 1000 + slackMs })
  }

  const permits = (source: string, address: string) => {
    const one = byAddress.get(source)
    return one !== undefined && isAllowed(one.egress, address)
  }

  function onRefused(refusal: Refusal) {
    const one = byAddress.get(refusal.source)
    if (!one) return
    const { name, reason } = refusal
    const [deny] = one.denied(name)
    const rule = reason === 'limit' ? 'limit' : deny === undefined ? 'default' : `deny[${deny}]`
    context.denied(one.pod, {
      protocol: 'dns',
      port: DNS_PORT,
      name,
      rule,
      ...(reason === 'address' ? { address: refusal.address } : {}),
    })
  }

  function forget(sandboxId: string) {
    const one = served.get(sandboxId)
    served.delete(sandboxId)
    for (const { address } of one?.pod.addresses ?? [])
      if (byAddress.get(address) === one) byAddress.delete(address)
  }

  return {
    async serve(pod, isLed) {
      const before = served.get(pod.sandboxId)
      forget(pod.sandboxId)
      if (!pod.policy || !hasNames(pod.policy)) return
      const { egress } = compilePolicy(pod.policy)
      if (!egress) return
      const { port } = await resolverAt([...new Set(pod.addresses.map(({ gateway }) => gateway))])
      const one: Served = {
        pod,
        port,
        egress,
        ...namesOf(pod.policy, egress),
        admitted: new Map([...(before?.admitted ?? [])].filter(([address]) => !isLed || isLed(address))),
        isAll: !isLed && (before?.isAll ?? true),
      }
      served.set(pod.sandboxId, one)
      for (const { address } of pod.addresses) byAddress.set(address, one)
    },
    resolverOf: ({ sandboxId }) => served.get(sandboxId),
    forget,
    pods: () => [...served.values()].map(({ pod }) => pod),
    membersOf(sandboxId, group, family) {
      const one = served.get(sandboxId)
      if (!one) return []
      const now = Date.now()
      return [...one.admitted].flatMap(([address, { name, until }]) =>
        until > now && familyOf(address) === family && one.groups(name).includes(group)
          ? [{ address: encodeIp(address), timeout: until - now }]
          : [],
      )
    },
    allLedTo(sandboxId) {
      const one = served.get(sandboxId)
      return one?.isAll ? [...one.admitted.keys()] : undefined
    },
    nameOf: (sandboxId, address) => served.get(sandboxId)?.admitted.get(address)?.name,
    async close() {
      const running = await Promise.allSettled(resolvers.values())
      resolvers.clear()
      for (const one of running)
        if (one.status === 'fulfilled')
          await one.value
            .close()
            .catch((error) => log.warn(`the resolver of pods does not close: ${messageOf(error)}`))
    },
  }
}

/** Loaded when there are names: most hosts have none. */
async function startResolver(options: ResolverOptions): Promise<Resolver> {
  const { createResolver } = await import('./names/resolver.ts')
  return createResolver(options)
}

/** Whether a rule of addresses allows this one, by whatever port. */
function isAllowed({ boxes }: CompiledSide, address: string): boolean {
  const family = familyOf(address)
  if (!family) return false
  const value = addressToNumber(address)
  return boxes[family].some(({ first, last }) => first <= value && value <= last)
}

interface Names {
  /** The groups that have the name, by where they stand among what the egress allows. */
  readonly groups: (name: string) => readonly number[]
  /** The rules that deny it, by where they stand in the policy. */
  readonly denied: (name: string) => readonly number[]
}

/** What a policy says of names; pods of one policy share it. */
function namesOf({ egress: { deny = [] } = { default: 'deny' } }: Policy, egress: CompiledSide): Names {
  const known = namesOfSides.get(egress)
  if (known) return known
  const names: Names = {
    groups: matcherOf(
      egress.allow.flatMap(({ names }, index) => names.map((name) => [name, index] as const)),
    ),
    denied: matcherOf(
      deny.flatMap(({ host }, index) => (host === undefined ? [] : [[host, index] as const])),
    ),
  }
  namesOfSides.set(egress, names)
  return names
}

const namesOfSides = new WeakMap<CompiledSide, Names>()

/** The host has checked the names. */
function matcherOf<T>(entries: readonly (readonly [string, T])[]) {
  return createNameMatcher(
    entries.flatMap(([name, value]) => {
      const pattern = parseNamePattern(name)
      return 'problem' in pattern ? [] : [[pattern, value] as const]
    }),
  )
}
