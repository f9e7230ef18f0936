import type { Pod, PodNetworkStatus } from '@podwire/api'
import * as z from 'zod/mini'
import { podNetworkStatus } from '../routing/plugin-status.ts'
import { firstIssue } from '../zod-issue.ts'

/** Which network namespace it is, whatever its path: the numbers of its inode. */
export interface NetnsIdentity {
  readonly dev: number
  readonly ino: number
}

/** One process, though its number be used again: `startTime` is in clock ticks since boot. */
export interface ProcessIdentity {
  readonly pid: number
  readonly startTime: string
}

/**
 * `setting-up`: an intent without a result; `ready`: the plugin is done; `tearing-down`: begun, or failed half-way.
 */
export type SandboxPhase = 'setting-up' | 'ready' | 'tearing-down'

/** What a host knows of one sandbox, and all that it needs to take it down in a later process. */
export interface SandboxRecord {
  readonly version: 1
  readonly pod: Pod
  readonly netns: string
  /** Absent until the namespace exists. */
  readonly netnsIdentity?: NetnsIdentity
  /** The host made the namespace, and removes it with the pod. */
  readonly ownsNetns: boolean
  /** The qualified name of the plugin that set the pod up. */
  readonly plugin: string
  readonly phase: SandboxPhase
  /** What the plugin said of the pod. */
  readonly status?: PodNetworkStatus
  /** The process that the sandbox is to end with, where there is one. */
  readonly owner?: ProcessIdentity
  /** ISO 8601 */
  readonly createdAt: string
  /** How long the set-up took, in milliseconds. */
  readonly setUpMs?: number
}

const port = z.int().check(z.minimum(1), z.maximum(65535))

const schema = z.object({
  version: z.literal(1),
  pod: z.object({
    namespace: z.string(),
    name: z.string(),
    sandboxId: z.string(),
    annotations: z.record(z.string(), z.string()),
    portMappings: z.array(
      z.object({
        hostPort: port,
        containerPort: port,
        protocol: z.enum(['tcp', 'udp', 'sctp']),
        hostIP: z.optional(z.string()),
      }),
    ),
  }),
  netns: z.string(),
  netnsIdentity: z.optional(z.object({ dev: z.number(), ino: z.number() })),
  ownsNetns: z.boolean(),
  plugin: z.string(),
  phase: z.enum(['setting-up', 'ready', 'tearing-down']),
  status: z.optional(podNetworkStatus),
  owner: z.optional(z.object({ pid: z.number(), startTime: z.string() })),
  createdAt: z.string(),
  setUpMs: z.optional(z.number()),
})

/** Parses a record's file; a string says what is wrong with it. */
export function parseSandboxRecord(text: string): SandboxRecord | string {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return text.trim() === '' ? 'it is empty' : 'it is not JSON, or cut short'
  }
  const parsed = schema.safeParse(json, { reportInput: true })
  // zod spells an absent key `T | undefined`; parsed output never holds such a key.
  if (parsed.success) return parsed.data as SandboxRecord
  return firstIssue(parsed.error, 'the record')
}
