import { createHash } from 'node:crypto'
import { errnoOf as codeOf, messageOf } from '@podwire/api'
import { NETLINK_NETFILTER, type Netlink, openNetlink, type Request } from '@podwire/netlink'
import {
  type Change,
  generation,
  generationAfter,
  isAlwaysChange,
  rules,
  type TableRef,
  tables,
  transaction,
  watchLosses,
} from '@podwire/netlink/nftables'
import { errors } from '../errors.ts'
import { createChangeQueue } from './change-queue.ts'
import { type FirewallPlan, portMaps, sentinelOf, tablesOf } from './layout.ts'
import { noFirewall } from './no-firewall.ts'
import type { PortElement } from './port-elements.ts'
import { firstOfEachPort, openPortMaps } from './port-maps.ts'
import { rebuildTables, ruleCounts } from './ruleset.ts'
import { createTrackedConnections, type TrackedConnections } from './tracked-connections.ts'

/** The kernel's tables of this plugin: rules that stay as they are, and maps of published ports. */
export interface Firewall extends TrackedConnections {
  /** Undefined while it works; else why it doesn't. */
  readonly problem: string | undefined
  /** Why pods with policies are cut off, since tables could not be made with those; until they are. */
  readonly cutOff: string | undefined
  /** Puts the tables in place for this plan. Published ports stay. */
  apply(plan: FirewallPlan): void
  /** Looks whether the tables are as a plan wants them, by default the one in place. What the kernel refuses can't be missed. */
  isIntact(plan?: FirewallPlan): boolean
  /** Looks, in some ten microseconds when nobody else changed any rule, whether the rules are there; else makes them anew. */
  ensure(): boolean
  /** Another number whenever somebody else may have changed something of the tables since `ensure` or `transact` looked before. */
  readonly look: number
  /**
   * Publishes and withdraws ports; the changes of all pods of one turn are one transaction.
   * Errors: `EBUSY` or `EEXIST` when a port leads elsewhere already; then nothing of this change was done.
   */
  change(added: readonly PortElement[], removed: readonly PortElement[]): Promise<void>
  /**
   * Publishes the ports that are found missing; they are looked for again where somebody changed rules meanwhile, who may have
   * withdrawn them. Errors: as `change`
   */
  restore(findMissing: () => readonly PortElement[]): void
  /** What differs from the ports that should be published: [missing, leftover]. Errors: `ENOENT` without the tables. */
  compare(wanted: readonly PortElement[]): { missing: PortElement[]; leftover: PortElement[] }
  /** Whether all these are published. */
  holds(wanted: readonly PortElement[]): boolean
  /** Has another process that makes the tables anew at this moment read the records again. */
  restartRebuilds(): void
  /** What the kernel has of the tables. Errors: the kernel's. */
  ask<T>(request: (table: TableRef) => Request<T>): T
  /**
   * Carries steps out as one transaction, with the tables in place; `steps` is called again where somebody changed rules meanwhile.
   * @throws PodwireError `POLICY_UNAVAILABLE` where there is no firewall, `RULES_KEEP_CHANGING` where others leave it no moment; else
   * the kernel's
   */
  transact(steps: (table: TableRef) => readonly (Change | readonly Change[])[]): void
  /** Calls back when somebody else took something of the tables away. Keeps no process alive. */
  onLoss(callback: () => void): { stop(): void }
  /** Takes the tables away. */
  remove(): void
  close(): void
}

/**
 * @param tableName the name of the tables, which nobody else's have
 * @param publishedPorts the ports of all pods, to fill tables that are made anew
 * @param policies what their policies are made of, for the same
 * @param shut what cuts off all pods that have policies, where the kernel takes none of that
 */
export function openFirewall(
  tableName: () => string,
  publishedPorts: () => readonly PortElement[],
  policies: (table: TableRef) => readonly Change[] = () => [],
  shut: (table: TableRef) => readonly Change[] = () => [],
): Firewall {
  let netlink: Netlink
  try {
    netlink = openNetlink({ protocol: NETLINK_NETFILTER })
    netlink.runSync(generation())
  } catch (error) {
    return noFirewall(refusal(error))
  }
  let plan: FirewallPlan | undefined
  let problem: string | undefined
  let cutOff: string | undefined
  let trusted: number | undefined
  let look = 0
  const change = createChangeQueue(attempt, maxElements)
  const table = () => tablesOf(tableName())
  const ports = openPortMaps(netlink, () => table().inet)

  /** Runs the steps as one transaction. Errors: `ERESTART` when somebody changed rules since they were found right. */
  function commit(steps: readonly (Change | readonly Change[])[]) {
    const before = trusted
    trusted = undefined
    netlink.batchSync(transaction(steps, { generation: before }))
    if (before === undefined) return
    if (isAlwaysChange(steps)) {
      trusted = generationAfter(before)
      return
    }
    // Steps that changed nothing leave the generation as it was.
    const now = netlink.runSync(generation())
    trusted = now === before || now === generationAfter(before) ? now : undefined
  }

  // Another process may publish a port between the look at what is to be published and the transaction, which takes its port
  // away: then it all begins again. The last time it does not, as other software may change its own rules without end.
  function rebuild(current: FirewallPlan) {
    for (let attempt = 1; ; attempt++) {
      const seen = netlink.runSync(generation())
      // Made by another process meanwhile: what it has published since stands in no record yet.
      if (isComplete(current)) return trust(seen)
      const steps = [
        ...rebuildTables(tableName(), current, fingerprint(current)),
        ...ports.additions(firstOfEachPort(publishedPorts())),
      ]
      const unchanged = attempt < MOST_REBUILDS ? { generation: seen } : {}
      try {
        netlink.batchSync(transaction([...steps, ...policies(table().inet)], unchanged))
        cutOff = undefined
        break
      } catch (error) {
        if (codeOf(error) === 'ERESTART') continue
        // Pods with policies must not be open because those can't be made.
        netlink.batchSync(transaction([...steps, ...shut(table().inet)]))
        cutOff = messageOf(error)
        throw error
      }
    }
    trusted = undefined
    if (!current.dropDuplicatesFrom) unlessGone(() => commit([tables.del(table().bridge)]))
    // What somebody changed meanwhile is seen by looking, once.
    const now = netlink.runSync(generation())
    trust(isIntact(current) ? now : undefined)
  }

  /** The rules that all pods share were found right; of what there is besides nobody knows. */
  function trust(seen: number | undefined) {
    if (seen === undefined || seen !== trusted) look++
    trusted = seen
  }

  function isIntact(current: FirewallPlan): boolean {
    try {
      const counts = ruleCounts(current)
      const { inet, bridge } = table()
      return (
        netlink.runSync(tables.get(inet)).comment === fingerprint(current) &&
        counts.inet.every(([chain, count]) => netlink.runSync(rules.count({ ...inet, chain })) === count) &&
        (counts.bridge === 0 || netlink.runSync(rules.count(bridge)) === counts.bridge) &&
        portMaps.every((map) => ports.isThere({ map: map.map, element: sentinelOf(map) }))
      )
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return false
      throw error
    }
  }

  /** Tables that cut pods off have all the rules that pods share, but are to be made anew. */
  const isComplete = (current: FirewallPlan) => cutOff === undefined && isIntact(current)

  function isTrusted(current: FirewallPlan): boolean {
    const now = netlink.runSync(generation())
    if (now === trusted) return true
    if (!isComplete(current)) return false
    trust(now)
    return true
  }

  /** False when the rules had to be made anew. */
  function ensure(): boolean {
    if (problem !== undefined) return true
    if (!plan) {
      // Another process may have put in place what there is; this one has nothing to compare it with.
      trust(netlink.runSync(generation()))
      return true
    }
    if (isTrusted(plan)) return true
    rebuild(plan)
    return false
  }

  function attempt(added: readonly PortElement[], removed: readonly PortElement[]) {
    for (let again = maxAttempts; ; again--) {
      try {
        const steps = [...ports.removals(allThere(removed)), ...ports.additions(added)]
        if (steps.length > 0) commit(steps)
        return
      } catch (error) {
        // Someone changed rules this very moment, or flushed them.
        if (!['ERESTART', 'ENOENT'].includes(codeOf(error) ?? '') || again === 0) throw error
        ensure()
      }
    }
  }

  // The kernel deletes by key alone: a port that leads to another pod by now must stay. What isn't there may be about to come
  // back: another process that makes the tables anew may have read the records before these ports were taken out of them.
  // Once the generation is another one, it has to read them again.
  function allThere(removed: readonly PortElement[]): PortElement[] {
    const there = removed.filter(ports.isThere)
    if (there.length === removed.length) return there
    passGeneration()
    return removed.filter(ports.isThere)
  }

  const passGeneration = () => commit(nextGeneration(table().inet))

  function transact(steps: (table: TableRef) => readonly (Change | readonly Change[])[]) {
    if (problem !== undefined) throw errors.POLICY_UNAVAILABLE({ reason: problem })
    // Where nobody changed anything there is nothing to look at, and where somebody did the kernel refuses the transaction.
    if (trusted !== undefined && tryAtOnce(steps)) return
    const begun = performance.now()
    for (let attempts = 1; ; attempts++) {
      ensure()
      const all = steps(table().inet)
      if (all.length === 0) return
      try {
        return commit(all)
      } catch (error) {
        if (codeOf(error) !== 'ERESTART') throw error
        const ms = performance.now() - begun
        if (attempts >= maxAttempts && ms > patienceMs)
          throw errors.RULES_KEEP_CHANGING({ attempts, seconds: ms / 1000 }, error)
      }
    }
  }

  function tryAtOnce(steps: (table: TableRef) => readonly (Change | readonly Change[])[]): boolean {
    try {
      const all = steps(table().inet)
      if (all.length === 0) return false
      commit(all)
      return true
    } catch {
      // Why is told by the next attempt.
      return false
    }
  }

  return {
    ...createTrackedConnections(netlink),
    get problem() {
      return problem
    },
    get cutOff() {
      return cutOff
    },
    apply(next) {
      try {
        plan = next
        problem = undefined
        const seen = netlink.runSync(generation())
        if (isComplete(next)) trust(seen)
        else rebuild(next)
      } catch (error) {
        problem = refusal(error)
      }
    },
    isIntact(wanted) {
      if (problem !== undefined) return true
      return wanted ? isIntact(wanted) : plan === undefined || isTrusted(plan)
    },
    ensure,
    get look() {
      return look
    },
    change,
    restore: (findMissing) => transact(() => ports.additions(findMissing())),
    compare: ports.compare,
    holds: (wanted) => wanted.every(ports.isThere),
    restartRebuilds() {
      // Whatever was changed meanwhile.
      trusted = undefined
      passGeneration()
    },
    ask: (request) => netlink.runSync(request(table().inet)),
    transact,
    onLoss: (callback) =>
      watchLosses(netlink, (lost) => {
        const isOwn = lost === undefined || lost.some((one) => one.table === tableName())
        if (isOwn && plan && netlink.runSync(generation()) !== trusted) callback()
      }),
    remove() {
      plan = undefined
      trusted = undefined
      for (const own of Object.values(table())) unlessGone(() => commit([tables.del(own)]))
    },
    close: () => netlink.close(),
  }
}

/** Changes nothing but the generation: whoever looked at something before looks again. */
export function nextGeneration(table: TableRef): Change[] {
  const none: TableRef = { ...table, table: `${table.table}-none` }
  return [tables.add(none), tables.del(none)].flat()
}

const refusal = (error: unknown) => `the kernel refuses nftables (${messageOf(error)})`

const noTable = ['ENOENT', 'EAFNOSUPPORT', 'EOPNOTSUPP']

// How often a change is begun anew because somebody else changed rules meanwhile.
const maxAttempts = 8

// How long a transaction is begun anew at least before it is given up: several processes that set pods up at once take turns by chance.
const patienceMs = 3_000

const MOST_REBUILDS = 20

// How many elements the changes of one turn may have together, so that none of them holds the event loop up for long.
const maxElements = 200

// One more whenever the same plan leads to other rules.
const VERSION = 9

/** Tells tables of this plan from those of another one, or of another version of this package: the table's comment. */
function fingerprint(plan: FirewallPlan): string {
  const text = JSON.stringify(plan, (_, value) => (typeof value === 'bigint' ? `${value}` : value))
  return `kubenet ${VERSION} ${createHash('sha256').update(text).digest('hex').slice(0, 32)}`
}

function unlessGone(act: () => void) {
  try {
    act()
  } catch (error) {
    if (!noTable.includes(codeOf(error) ?? '')) throw error
  }
}
