import { type DeniedFlow, type Logger, messageOf, type Policy, podKey } from '@podwire/api'
import { encodeIp } from '@podwire/netlink/transport'
import { errors } from '../errors.ts'
import { familyOf, type IpFamily } from '../ipam/cidr.ts'
import type { PodRecord } from '../pod-record.ts'
import { type Answered, answeredOf } from './answered.ts'
import { type CompiledSide, compilePolicy } from './compile.ts'
import { type NameRules, namesOf } from './name-rules.ts'
import type { Decision, Refusal, Resolver, ResolverOptions } from './names/resolver.ts'
import { createPodNames, isAllowed, type PodName, type PodNamesContext, podNameOf } from './pod-names.ts'

/** An address that a name led to, in network order. */
export interface Member {
  readonly address: Buffer
  /** In milliseconds. */
  readonly timeout: number
}

/** Answers the DNS of pods whose policies have names, or pods, which have names too. */
export interface Naming {
  /** Whether this process answers pods of such a policy. */
  serves(policy: Policy): boolean
  /**
   * Sees to it that the pod is answered by this process from now on, where its policy is one of those.
   * @param isLed where another process may have answered it meanwhile, or have set a pod up anew: whether the kernel lets the pod connect
   * to an address
   */
  serve(pod: PodRecord, isLed?: (address: string) => boolean): Promise<void>
  /** Where what the pod asks goes to; undefined: this process doesn't answer it. */
  resolverOf(
    pod: Pick<PodRecord, 'sandboxId'>,
  ): { readonly port: number; readonly answers: Answered } | undefined
  forget(sandboxId: string): void
  /** Whom this process answers. */
  pods(): readonly PodRecord[]
  /** The addresses that names of a group lead to now. @param group where it stands among what the pod's egress allows */
  membersOf(sandboxId: string, group: number, family: IpFamily): readonly Member[]
  /** All addresses that names have led the pod to; undefined where another process may have led it to more. */
  allLedTo(sandboxId: string): readonly string[] | undefined
  /** The name that led the pod to an address, by whatever policy it had. */
  nameOf(sandboxId: string, address: string): string | undefined
  close(): Promise<void>
}

interface NamingContext extends PodNamesContext {
  readonly log: Logger
  /** Empty: whom the host asks. */
  readonly servers: readonly string[]
  /** Whether this process stays: one that ends at once answers nobody who can do without. */
  readonly stays: boolean
  /** Lets the pod connect to addresses that a name of these groups led to. */
  admit(pod: PodRecord, groups: readonly number[], members: readonly Member[]): void
  denied(pod: PodRecord, flow: Pick<DeniedFlow, 'protocol' | 'port' | 'name' | 'rule' | 'address'>): void
}

interface Served extends NameRules {
  readonly pod: PodRecord
  readonly port: number
  readonly answers: Answered
  readonly egress: CompiledSide
  /** By address: the name, and until when, in milliseconds since 1970. */
  readonly admitted: Map<string, { readonly name: string; readonly until: number }>
  /** What is admitted is all that there is of the pod's. */
  readonly isAll: boolean
  /** By address: the pod that was asked for by its name. */
  readonly asked: Map<string, PodName>
}

const DNS_PORT = 53

/** An answer that is kept this much longer than the kernel lets it be used is put in again. Milliseconds. */
const slackMs = 30_000

/** The kernel takes an address out a moment after its time is over here. Milliseconds. */
const lateMs = 30_000

/**
 * More addresses than this no pod needs at a time, and no answers of a name server fill the kernel's memory, nor all the room that
 * the pods of a policy have together.
 */
export const MOST_ADMITTED = 4_096

export function createNaming(context: NamingContext): Naming {
  const { log } = context
  const resolvers = new Map<string, Promise<Resolver>>()
  const served = new Map<string, Served>()
  const byAddress = new Map<string, Served>()
  const podNames = createPodNames(context)
  /** By sandbox: the name that led to an address last. Connections last longer than answers, and than policies. */
  const led = new Map<string, Map<string, string>>()

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
    const named = podNameOf(name)
    if (named) {
      const addresses = podNames.addressesFor(one.egress, named)
      remember(one, named, addresses)
      return addresses.length > 0 ? { addresses } : 'refuse'
    }
    return one.denied(name).length === 0 && one.groups(name).length > 0 ? 'allow' : 'refuse'
  }

  function remember({ asked }: Served, named: PodName, addresses: readonly string[]) {
    if (asked.size + addresses.length > MOST_ADMITTED) asked.clear()
    for (const address of addresses) asked.set(address, named)
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
    for (const { address, ttl } of fresh) {
      one.admitted.set(address, { name, until: now + ttl * 1000 + slackMs })
      rememberLed(one.pod, address, name)
    }
  }

  function rememberLed({ sandboxId }: PodRecord, address: string, name: string) {
    const own = led.get(sandboxId) ?? new Map<string, string>()
    led.set(sandboxId, own)
    // The newest is the last.
    own.delete(address)
    own.set(address, name)
    const [oldest] = own.keys()
    if (own.size > MOST_ADMITTED && oldest !== undefined) own.delete(oldest)
  }

  const permits = (source: string, address: string) => {
    const one = byAddress.get(source)
    return one !== undefined && isAllowed(one.egress, address)
  }

  function onRefused(refusal: Refusal) {
    const one = byAddress.get(refusal.source)
    if (!one) return
    const { name, reason } = refusal
    if (reason === 'address') {
      context.denied(one.pod, { protocol: 'dns', name, rule: 'address', address: refusal.address })
      return
    }
    const [deny] = one.denied(name)
    const rule = reason === 'limit' ? 'limit' : deny === undefined ? 'default' : `deny[${deny}]`
    context.denied(one.pod, { protocol: 'dns', port: DNS_PORT, name, rule })
  }

  function serveNoMore(sandboxId: string) {
    const one = served.get(sandboxId)
    served.delete(sandboxId)
    for (const { address } of one?.pod.addresses ?? [])
      if (byAddress.get(address) === one) byAddress.delete(address)
  }

  function answeredHere(egress: CompiledSide): Answered | undefined {
    const answers = answeredOf(egress)
    return answers?.isNeeded || context.stays ? answers : undefined
  }

  /** Undefined where there is no resolver for a pod that can do without one. */
  async function portFor(pod: PodRecord, { isNeeded }: Answered): Promise<number | undefined> {
    const addresses = [...new Set(pod.addresses.map(({ gateway }) => gateway))]
    try {
      const resolver = await resolverAt(addresses)
      if (isNeeded && !resolver.hasServers()) throw errors.NO_NAME_SERVER({})
      return resolver.port
    } catch (error) {
      if (isNeeded) throw error
      log.warn(`pod ${podKey(pod)} hears of no other pods by name: ${messageOf(error)}`)
      return undefined
    }
  }

  return {
    serves(policy) {
      const { egress } = compilePolicy(policy)
      return egress !== undefined && answeredHere(egress) !== undefined
    },
    async serve(pod, isLed) {
      const before = served.get(pod.sandboxId)
      serveNoMore(pod.sandboxId)
      if (!pod.policy) return
      const { egress } = compilePolicy(pod.policy)
      const answers = egress && answeredHere(egress)
      if (!answers) return
      const port = await portFor(pod, answers)
      if (port === undefined) return
      const one: Served = {
        pod,
        port,
        answers,
        egress,
        ...namesOf(pod.policy, egress),
        admitted: new Map([...(before?.admitted ?? [])].filter(([address]) => !isLed || isLed(address))),
        isAll: !isLed && (before?.isAll ?? true),
        asked: (isLed ? undefined : before?.asked) ?? new Map(),
      }
      served.set(pod.sandboxId, one)
      for (const { address } of pod.addresses) byAddress.set(address, one)
    },
    resolverOf: ({ sandboxId }) => served.get(sandboxId),
    forget(sandboxId) {
      serveNoMore(sandboxId)
      led.delete(sandboxId)
    },
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
    nameOf(sandboxId, address) {
      const one = served.get(sandboxId)
      const now = one && (one.admitted.get(address)?.name ?? podNames.nameOf(one.asked.get(address), address))
      return now ?? led.get(sandboxId)?.get(address)
    },
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

/** Loaded when somebody asks for names: on most hosts nobody does. */
async function startResolver(options: ResolverOptions): Promise<Resolver> {
  const { createResolver } = await import('./names/resolver.ts')
  return createResolver(options)
}
