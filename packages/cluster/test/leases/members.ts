import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type RecordingLogger, recordingLogger } from '@podwire/testing'
import { afterEach } from 'vitest'
import { type Etcd, openEtcd } from '../../src/etcd/client.ts'
import { keysOf } from '../../src/layout/keys.ts'
import { haveInCommon, type PodSubnets, parseKeyName, podCIDROf } from '../../src/layout/pod-subnets.ts'
import { bootTime } from '../../src/leases/clock.ts'
import { keepLeaseTable } from '../../src/leases/lease-table.ts'
import { type Member, type MemberOptions, type Membership, startMember } from '../../src/leases/member.ts'

const undo: (() => unknown)[] = []

afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

/** Runs after the test, the last first. */
export function afterThis(step: () => unknown): void {
  undo.push(step)
}

export function stateDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'podwire-member-'))
  afterThis(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

export interface TestMember extends Member {
  readonly nodeName: string
  readonly stateDir: string
  readonly history: Membership[]
  readonly log: RecordingLogger
  /** Its pod CIDR. */
  podCIDR(): string | undefined
}

let count = 0
let addresses = 0

/** A node with a lease table of its own, as in a daemon. */
export function member(
  endpoints: readonly string[],
  {
    prefix = '/test',
    nodeName = `node-${++count}`,
    publicIP = `198.51.100.${++addresses % 250}`,
    dir = stateDir(),
    ...options
  }: Partial<MemberOptions> & { prefix?: string; publicIP?: string; dir?: string } = {},
): TestMember {
  const etcd = openEtcd({ endpoints })
  const keys = keysOf(prefix)
  const history: Membership[] = []
  const log = recordingLogger()
  const one = startMember({
    etcd,
    keys,
    nodeName,
    describe: ({ backend }) => ({ publicIP, backendType: backend.type }),
    leaseTtl: 5,
    renewBefore: 3,
    stateDir: dir,
    log,
    now: bootTime,
    onChange: (membership) => history.push(membership),
    ...options,
  })
  const table = keepLeaseTable({ etcd, keys, log, onChanges: one.noticed })
  const stop = async (how?: { release?: boolean }) => {
    await table.stop()
    await one.stop(how)
    etcd.close()
  }
  let stopped: Promise<void> | undefined
  const stopOnce = (how?: { release?: boolean }) => (stopped ??= stop(how))
  afterThis(() => stopOnce())
  return {
    get membership() {
      return one.membership
    },
    attempted: one.attempted,
    holds: one.holds,
    noticed: one.noticed,
    unheard: one.unheard,
    log,
    stop: stopOnce,
    nodeName,
    stateDir: dir,
    history,
    podCIDR: () => (one.membership.state === 'joined' ? podCIDROf(one.membership.lease.subnets) : undefined),
  }
}

/**
 * Watches all that happens in etcd, and says what must never have happened: two leases with an address in common, or one that
 * changed hands without an end.
 */
export function watchLeases(etcd: Etcd, prefix = '/test', from = 1) {
  const keys = keysOf(prefix)
  const stopped = new AbortController()
  const held = new Map<string, { subnets: PodSubnets; owner: string }>()
  const violations: string[] = []
  let puts = 0
  const running = (async () => {
    try {
      for await (const { changes } of etcd.watch(keys.subnets, from, stopped.signal)) {
        for (const { change, entry } of changes) {
          const { key } = entry
          const subnets = parseKeyName(key.slice(keys.subnets.length))
          if (!subnets) continue
          if (change === 'deleted') {
            held.delete(key)
            continue
          }
          puts++
          const owner = ownerOf(entry.value)
          const before = held.get(key)
          if (before && before.owner !== owner) violations.push(`${key}: from ${before.owner} to ${owner}`)
          for (const [other, one] of held)
            if (other !== key && haveInCommon(one.subnets, subnets)) violations.push(`${key} and ${other}`)
          held.set(key, { subnets, owner })
        }
      }
    } catch (error) {
      if (!stopped.signal.aborted) throw error
    }
  })()
  return {
    violations,
    held,
    puts: () => puts,
    stop: async () => {
      stopped.abort()
      await running
    },
  }
}

function ownerOf(value: string): string {
  try {
    return String(JSON.parse(value).NodeName)
  } catch {
    return value
  }
}
