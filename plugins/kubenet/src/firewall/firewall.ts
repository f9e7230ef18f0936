import { createHash } from 'node:crypto'
import { errnoOf as codeOf, messageOf } from '@podwire/api'
import { conntrack, type Netlink, openNetlink } from '@podwire/netlink'
import { NETLINK_NETFILTER } from '@podwire/netlink/transport'
import { createChangeQueue } from './change-queue.ts'
import { addElements, deleteElements, getElement, listElements } from './elements.ts'
import { type FirewallPlan, setNames, TABLE } from './layout.ts'
import { countRules, deleteTable, generation, type Step, tableUserData, transaction } from './nf-tables.ts'
import { elementKey, type PortElement } from './port-elements.ts'
import { rebuildTables, ruleCounts } from './ruleset.ts'

/** The kernel's tables of this plugin: rules that stay as they are, and maps of published ports. */
export interface Firewall {
  /** Undefined while it works; else why it doesn't. */
  readonly problem: string | undefined
  /** Puts the tables in place for this plan. Published ports stay. */
  apply(plan: FirewallPlan): void
  /** Looks, in some ten microseconds when nobody else changed any rule, whether the rules are there; else makes them anew. */
  ensure(): boolean
  /**
   * Publishes and withdraws ports; the changes of all pods of one turn are one transaction.
   * Errors: `EBUSY` or `EEXIST` when a port leads elsewhere already; then nothing of this change was done.
   */
  change(added: readonly PortElement[], removed: readonly PortElement[]): Promise<void>
  /** What differs from the ports that should be published: [missing, leftover]. Errors: `ENOENT` without the tables. */
  compare(wanted: readonly PortElement[]): { missing: PortElement[]; leftover: PortElement[] }
  /** Whether all these are published. */
  holds(wanted: readonly PortElement[]): boolean
  /** Lets datagrams to a port of the host be translated anew: a flow goes on as the kernel remembers it, to a pod that is gone. */
  forgetFlows(udpPort: number): Promise<void>
  close(): void
}

const portMaps = ([4, 6] as const).flatMap((family) => [
  setNames(family).ports,
  setNames(family).addressPorts,
])

/** @param publishedPorts the ports of all pods, to fill tables that are made anew */
export function openFirewall(publishedPorts: () => readonly PortElement[]): Firewall {
  let netlink: Netlink
  try {
    netlink = openNetlink({ protocol: NETLINK_NETFILTER })
    netlink.runSync(generation())
  } catch (error) {
    return noFirewall(refusal(error))
  }
  let plan: FirewallPlan | undefined
  let problem: string | undefined
  let trusted: number | undefined
  const change = createChangeQueue(attempt, maxElements)

  /** Runs the steps as one transaction. When nobody else changed anything meanwhile, the rules are still trusted. */
  function commit(steps: readonly Step[]) {
    const before = netlink.runSync(generation())
    netlink.batchSync(transaction(steps))
    if (trusted === before) trusted = before + 1
  }

  function rebuild(current: FirewallPlan) {
    trusted = netlink.runSync(generation())
    commit(rebuildTables(current, fingerprint(current)))
    if (!current.dropDuplicatesFrom)
      ignoring(['ENOENT', 'EAFNOSUPPORT', 'EOPNOTSUPP'], () => commit([deleteTable('bridge', TABLE)]))
    for (const part of parts(publishedPorts())) commit(part.flatMap(additions))
  }

  function isIntact(current: FirewallPlan): boolean {
    try {
      const counts = ruleCounts(current)
      return (
        netlink.runSync(tableUserData('inet', TABLE))?.equals(fingerprint(current)) === true &&
        netlink.runSync(countRules('inet', TABLE)) === counts.inet &&
        (counts.bridge === 0 || netlink.runSync(countRules('bridge', TABLE)) === counts.bridge)
      )
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return false
      throw error
    }
  }

  /** False when the rules had to be made anew. */
  function ensure(): boolean {
    if (!plan || problem !== undefined) return true
    const now = netlink.runSync(generation())
    if (now === trusted) return true
    if (isIntact(plan)) {
      trusted = now
      return true
    }
    rebuild(plan)
    return false
  }

  // The kernel deletes by key alone: a port that leads to another pod by now must stay.
  function attempt(added: readonly PortElement[], removed: readonly PortElement[]) {
    const steps = [...removals(removed.filter(isThere)), ...additions(added)]
    if (steps.length === 0) return
    try {
      commit(steps)
    } catch (error) {
      // Someone flushed the tables this very moment; the new ones hold none of what is to be removed.
      if (codeOf(error) !== 'ENOENT' || ensure()) throw error
      commit(additions(added))
    }
  }

  function isThere({ map, element }: PortElement): boolean {
    try {
      const found = netlink.runSync(getElement('inet', { table: TABLE, set: map }, element.key))
      return found?.value?.equals(element.value ?? Buffer.alloc(0)) === true
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return false
      throw error
    }
  }

  function current(): Map<string, PortElement> {
    const found = portMaps.flatMap(
      (map) =>
        netlink
          .runSync(listElements('inet', { table: TABLE, set: map }))
          .map((element) => ({ map, element }) as PortElement), // its mapping is not known, and not asked for
    )
    return new Map(found.map((element) => [elementKey(element), element]))
  }

  function compare(wanted: readonly PortElement[]) {
    const there = current()
    const missing = wanted.filter((element) => !there.delete(elementKey(element)))
    return { missing, leftover: [...there.values()] }
  }

  return {
    get problem() {
      return problem
    },
    async forgetFlows(udpPort) {
      await conntrack.flush(netlink, { protocol: IPPROTO_UDP, port: udpPort })
    },
    apply(next) {
      try {
        plan = next
        problem = undefined
        if (isIntact(next)) trusted = netlink.runSync(generation())
        else rebuild(next)
      } catch (error) {
        problem = refusal(error)
      }
    },
    ensure,
    change,
    compare,
    holds: (wanted) => wanted.every(isThere),
    close: () => netlink.close(),
  }
}

const IPPROTO_UDP = 17

/** For a kernel that has none: pods work without, but nothing is masqueraded or published. */
function noFirewall(problem: string): Firewall {
  return {
    problem,
    apply() {},
    ensure: () => true,
    change: async () => {},
    compare: () => ({ missing: [], leftover: [] }),
    holds: () => false,
    forgetFlows: async () => {},
    close() {},
  }
}

const refusal = (error: unknown) => `the kernel refuses nftables (${messageOf(error)})`

// A transaction must fit into one datagram of at most 64 KiB; an element takes up to 100 bytes.
const maxElements = 200

function parts(elements: readonly PortElement[]): (readonly PortElement[])[][] {
  const result: (readonly PortElement[])[][] = []
  for (let start = 0; start < elements.length; start += maxElements)
    result.push([elements.slice(start, start + maxElements)])
  return result
}

const additions = (elements: readonly PortElement[]) => byMap(elements, addElements)
const removals = (elements: readonly PortElement[]) => byMap(elements, deleteElements)

function byMap(elements: readonly PortElement[], make: typeof addElements): Step[] {
  return portMaps.flatMap((map) => {
    const own = elements.filter((element) => element.map === map)
    return own.length > 0
      ? [
          make(
            'inet',
            { table: TABLE, set: map },
            own.map(({ element }) => element),
          ),
        ]
      : []
  })
}

/** Tells tables of this plan from those of another one, or of another version of this package. */
function fingerprint(plan: FirewallPlan): Buffer {
  const text = JSON.stringify(plan, (_, value) => (typeof value === 'bigint' ? `${value}` : value))
  return createHash('sha256').update(`1 ${text}`).digest().subarray(0, 16)
}

function ignoring(codes: readonly string[], act: () => void) {
  try {
    act()
  } catch (error) {
    if (!codes.includes(codeOf(error) ?? '')) throw error
  }
}
