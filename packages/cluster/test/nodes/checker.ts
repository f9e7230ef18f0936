import { setTimeout as sleep } from 'node:timers/promises'
import { type Netlink, openNetlink } from '@podwire/netlink'
import type { Etcd } from '../../src/etcd/client.ts'
import { keysOf } from '../../src/layout/keys.ts'
import type { PlainBackend } from '../../src/layout/network.ts'
import { podCIDROf, subnetsOf } from '../../src/layout/pod-subnets.ts'
import { firstAddress, formatSubnet } from '../../src/layout/range.ts'
import { bootTime } from '../../src/leases/clock.ts'
import { type LeaseEntry, readEntry } from '../../src/leases/entry.ts'
import { readKernel } from '../../src/routes/kernel-state.ts'
import { vxlanName } from '../../src/routes/vxlan-link.ts'
import { afterThis, watchLeases } from '../leases/members.ts'
import type { Machine } from './machines.ts'

export interface CheckerOptions {
  readonly etcd: Etcd
  readonly prefix: string
  readonly machines: readonly Machine[]
  readonly backend: PlainBackend['type']
  /** How long a machine may believe in a lease that somebody took from it by hand. Milliseconds. */
  readonly theftMs?: number
}

export interface Checker {
  /** What must never have been, each in a sentence. */
  readonly violations: readonly string[]
  /** How often it looked at everything. */
  looks(): number
  /** What the kernels have that no lease says, and what they lack that one says, now. */
  differences(): readonly string[]
  /** A machine that can't know better, whose kernel is not looked at: it is cut off. */
  excuse(machine: Machine): void
  /** It can, from now on. */
  expect(machine: Machine): void
}

const everyMs = 100
/** How long a kernel may take to follow etcd, on a machine that has other things to do. */
const followMs = 8_000

/**
 * Looks at etcd and at the kernels of all machines for the whole of a test: no pod CIDR is of two machines at any time; and a
 * machine whose daemon runs has exactly the routes, neighbours and forwarding entries of the leases that there are, a moment after any
 * of these changed.
 */
export function watchMachines(options: CheckerOptions): Checker {
  const { etcd, prefix, machines, backend, theftMs = 0 } = options
  const keys = keysOf(prefix)
  const watching = watchLeases(etcd, prefix)
  const violations: string[] = []
  const since = new Map<string, number>()
  const excused = new Set<Machine>()
  const netlinks = new Map<Machine, Netlink>()
  let latest: string[] = []
  let looks = 0
  let isOver = false

  const netlinkOf = (machine: Machine): Netlink => {
    const there = netlinks.get(machine)
    if (there) return there
    const made = openNetlink({ netns: machine.netns })
    netlinks.set(machine, made)
    return made
  }

  async function look(): Promise<string[]> {
    // First of all: what a machine believes after that can't be of before.
    const { entries } = await etcd.list(keys.subnets)
    const leases = entries.flatMap((entry) => readEntry(entry, keys.subnets) ?? [])
    const now = bootTime()
    const unwanted: string[] = []
    for (const machine of machines) {
      const podCIDR = machine.podCIDR()
      const owner = leases.find(({ subnets }) => podCIDROf(subnets) === podCIDR)?.node?.nodeName
      const isTaken = podCIDR !== undefined && owner !== undefined && owner !== machine.name
      // One that is stopped by a signal believes nothing: what it does with its belief afterwards is looked at then.
      if (!machine.isRunning) continue
      if (isTaken) unwanted.push(`${machine.name} believes that it has ${podCIDR}, which is ${owner}'s`)
      // Even when it is cut off it knows when its lease ends.
      if (excused.has(machine) && podCIDR !== undefined) continue
      const wanted = podCIDR === undefined ? [] : wantedOf(machine, leases, podCIDR, backend)
      const is = await kernelOf(netlinkOf(machine))
      unwanted.push(
        ...is.filter((one) => !wanted.includes(one)).map((one) => `${machine.name} has ${one}`),
        ...wanted.filter((one) => !is.includes(one)).map((one) => `${machine.name} lacks ${one}`),
      )
    }
    for (const one of [...since.keys()]) if (!unwanted.includes(one)) since.delete(one)
    for (const one of unwanted) {
      const began = since.get(one) ?? now
      since.set(one, began)
      const allowedMs = one.includes('believes') ? theftMs : followMs
      const sentence = `${one}, for more than ${allowedMs} ms`
      if (now - began >= allowedMs && !violations.includes(sentence)) violations.push(sentence)
    }
    looks++
    return unwanted
  }

  const running = (async () => {
    while (!isOver) {
      try {
        latest = await look()
      } catch (error) {
        // A daemon that is killed, or an etcd that is away, answers nothing.
        latest = [String(error)]
      }
      await sleep(everyMs)
    }
  })()
  afterThis(async () => {
    isOver = true
    await running
    await watching.stop()
    for (const netlink of netlinks.values()) netlink.close()
  })
  return {
    get violations() {
      return [...watching.violations, ...violations]
    },
    looks: () => looks,
    differences: () => latest,
    excuse: (machine) => void excused.add(machine),
    expect(machine) {
      excused.delete(machine)
      for (const one of [...since.keys()]) if (one.startsWith(`${machine.name} `)) since.delete(one)
    },
  }
}

/** What the leases say that a machine's kernel has, each in a phrase. */
function wantedOf(
  machine: Machine,
  leases: readonly LeaseEntry[],
  podCIDR: string,
  backend: PlainBackend['type'],
): string[] {
  return leases.flatMap(({ subnets, node }) => {
    if (!node || podCIDROf(subnets) === podCIDR || node.publicIP === machine.address) return []
    if (node.backendType !== backend) return []
    return subnetsOf(subnets).flatMap((subnet) => {
      if (backend === 'host-gw') return [`route ${formatSubnet(subnet)} via ${node.publicIP}`]
      if (node.vtepMac === undefined) return []
      const gateway = firstAddress(subnet)
      return [
        `route ${formatSubnet(subnet)} via ${gateway}`,
        `neighbour ${gateway} at ${node.vtepMac}`,
        `forwarding of ${node.vtepMac} to ${node.publicIP}`,
      ]
    })
  })
}

async function kernelOf(netlink: Netlink): Promise<string[]> {
  const { links, routes, neighbours, forwarding } = await readKernel(netlink)
  const index = links.get(vxlanName(1, 4))?.index
  const rest = (key: string) => key.slice(key.indexOf(' ') + 1)
  const isOf = ([key]: readonly [string, string]) => key.startsWith(`${index} `)
  return [
    ...[...routes].map(([destination, { gateway }]) => `route ${destination} via ${gateway}`),
    ...[...neighbours].filter(isOf).map(([key, lladdr]) => `neighbour ${rest(key)} at ${lladdr}`),
    ...[...forwarding].filter(isOf).map(([key, to]) => `forwarding of ${rest(key)} to ${to}`),
  ]
}
