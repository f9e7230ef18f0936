import { join } from 'node:path'
import { once } from '@podwire/api'
import { readFileIfThere, writeFileWhole } from '@podwire/api/files'
import * as z from 'zod/mini'

/** What is kept of this node's membership, for a daemon that starts while etcd is away, and for whoever looks. */
export interface MemberRecord {
  readonly bootId: string
  /** Of this node, over restarts of its daemon. */
  readonly instance: string
  readonly state: 'joining' | 'joined' | 'fenced'
  /** Why it is not joined, or what is wrong though it is. */
  readonly reason?: string
  readonly nodeName: string
  readonly publicIP?: string
  readonly publicIPv6?: string
  /** What the others know it by, where the network is encrypted. */
  readonly publicKey?: string
  /** The value of `PREFIX/config`. */
  readonly network?: string
  /** What it has, or had last. */
  readonly lease?: SavedLease
}

interface SavedLease {
  readonly key: string
  readonly podCIDR: string
  readonly modRevision: number
  /** Undefined: a reservation. */
  readonly id?: string
  /** How long it was begun for. Seconds. */
  readonly ttl?: number
  /** In milliseconds of the clock of {@link bootTime}; undefined: never. */
  readonly endsAt?: number
}

const schema = once(() =>
  z.object({
    bootId: z.string(),
    instance: z.string().check(z.regex(/^[0-9a-f]{32}$/)),
    state: z.enum(['joining', 'joined', 'fenced']),
    reason: z.optional(z.string()),
    nodeName: z.string(),
    publicIP: z.optional(z.string()),
    publicIPv6: z.optional(z.string()),
    publicKey: z.optional(z.string()),
    network: z.optional(z.string()),
    lease: z.optional(
      z.object({
        key: z.string(),
        podCIDR: z.string(),
        modRevision: z.number(),
        id: z.optional(z.string()),
        ttl: z.optional(z.number()),
        endsAt: z.optional(z.number()),
      }),
    ),
  }),
)

const fileIn = (stateDir: string) => join(stateDir, 'cluster', 'member.json')

/** Undefined where there is none, or what is there can't be used: a node that knows nothing of before acquires anew. */
export function readMemberRecord(stateDir: string): MemberRecord | undefined {
  try {
    const text = readFileIfThere(fileIn(stateDir), 64 * 1_024)
    // zod spells an absent key `T | undefined`; parsed JSON never holds such a key.
    return text === undefined ? undefined : (schema().parse(JSON.parse(text)) as MemberRecord)
  } catch {
    return undefined
  }
}

export function writeMemberRecord(stateDir: string, record: MemberRecord): void {
  writeFileWhole(fileIn(stateDir), `${JSON.stringify(record)}\n`)
}
