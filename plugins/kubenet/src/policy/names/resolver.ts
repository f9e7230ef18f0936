import { errors } from '../../errors.ts'
import { type Counters, createAnswering } from './answering.ts'
import { createCache } from './cache.ts'
import { parseServer, type Server } from './exchange.ts'
import { createFilter } from './filter.ts'
import type { ResolverHooks } from './hooks.ts'
import { createHostResolvers } from './host-resolvers.ts'
import { createAllowances, DEFAULT_LIMITS, type ResolverLimits } from './limits.ts'
import { listen } from './listeners.ts'
import { createLookup } from './lookup.ts'
import { createUpstreams } from './upstreams.ts'

export type { AdmittedAddress, Decision, Refusal } from './hooks.ts'

export interface ResolverOptions extends ResolverHooks {
  /** Whom to ask. By default whom the host asks, as that changes. */
  readonly upstreams?: {
    /** `10.0.0.53`, `10.0.0.53:5353`, `[fd00::53]:5353` */
    readonly servers?: readonly string[]
    /** Domains that a name of one label is looked for in. */
    readonly search?: readonly string[]
  }
  /** Where pods ask, UDP and TCP. Port 0 takes one that is free. */
  readonly listen: { readonly addresses: readonly string[]; readonly port: number }
  readonly limits?: Partial<ResolverLimits>
}

export interface ResolverStats extends Counters {
  readonly cache: { readonly entries: number; readonly bytes: number }
  readonly waiting: number
  readonly prefetches: number
  readonly connections: number
}

export interface Resolver {
  readonly port: number
  /** Whether there is anybody to ask for names that the host doesn't know itself. */
  hasServers(): boolean
  /** Answers nothing from now on. Safe to repeat. */
  close(): Promise<void>
  stats(): ResolverStats
}

/**
 * The resolver of pods whose policy names hosts: a pod hears of allowed names alone, and may connect to what it heard.
 * @throws PodwireError `INVALID_NAME_SERVER`, `RESOLVER_NOT_LISTENING`
 */
export async function createResolver(options: ResolverOptions): Promise<Resolver> {
  const limits = { ...DEFAULT_LIMITS, ...options.limits }
  const { servers, search } = upstreamsOf(options)

  const cache = createCache({ entries: limits.cacheEntries, bytes: limits.cacheBytes })
  const lookup = createLookup({
    cache,
    upstreams: createUpstreams(servers),
    search,
    mostInFlight: limits.waiting,
    deadline: limits.deadline,
  })
  const counters: Counters = { questions: 0, fromCache: 0, refused: 0, overLimit: 0, failed: 0 }
  const answer = createAnswering({
    hooks: options,
    lookup,
    filter: createFilter(),
    allowances: createAllowances(limits),
    counters,
  })
  const listeners = await listen(
    options.listen,
    limits,
    {
      udp: (question, source) => answer(question, source, ({ udpSize }) => udpSize),
      tcp: (question, source) => answer(question, source, () => 0xffff),
    },
    (error) =>
      options.log.error('the resolver of pods has trouble with its sockets', { error: error.message }),
  ).catch((error) => {
    throw errors.RESOLVER_NOT_LISTENING(options.listen, error)
  })
  let closing: Promise<void> | undefined
  return {
    port: listeners.port,
    hasServers: () => servers().length > 0,
    close: () => (closing ??= listeners.close()),
    stats: () => {
      const { inFlight: waiting, prefetches } = lookup.stats()
      return { ...counters, cache: cache.size(), waiting, prefetches, connections: listeners.connections() }
    },
  }
}

/** Those given, or the host's, without this resolver itself, which the host may have been told to ask. */
function upstreamsOf({ upstreams, listen }: ResolverOptions): {
  servers: () => readonly Server[]
  search: () => readonly string[]
} {
  const host = createHostResolvers()
  const given = upstreams?.servers?.map((server) => {
    const parsed = parseServer(server)
    if (!parsed) throw errors.INVALID_NAME_SERVER({ server })
    return parsed
  })
  const isItself = ({ address, port }: Server) => port === listen.port && listen.addresses.includes(address)
  const found = () =>
    host()
      .servers.flatMap((server) => parseServer(server) ?? [])
      .filter((server) => !isItself(server))
  return {
    servers: given ? () => given : found,
    search: upstreams?.search ? () => upstreams.search ?? [] : () => host().search,
  }
}
