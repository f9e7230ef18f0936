import type { Pod, PodNetworkStatus } from '@podwire/api'
import { once } from '@podwire/api'
import * as z from 'zod/mini'
import { podNetworkStatus } from '../plugins/plugin-status.ts'
import type { PluginStart } from '../plugins/start-plugin.ts'
import { policySchema } from '../policy/schema.ts'
import { firstIssue } from '../zod-issue.ts'
import { type NetnsIdentity, netnsPathOf } from './netns.ts'
import { type CniAttachment, parsePodName, podProblems } from './pod-request.ts'

/** One process, though its number be used again: `startTime` is in clock ticks since boot. */
export interface ProcessIdentity {
  readonly pid: number
  readonly startTime: string
}

/**
 * `setting-up`: an intent without a result; `ready`: the plugin is done; `changing`: an intent to change a pod that was
 * ready; `tearing-down`: begun, or failed half-way.
 */
export type SandboxPhase = 'setting-up' | 'ready' | 'changing' | 'tearing-down'

/** What a host knows of one sandbox, and all that it needs to tear it down in a later process. */
export interface SandboxRecord {
  readonly version: 1
  readonly pod: Pod
  /** While it is `changing`: the pod as it was. */
  readonly previous?: Pod
  /** Absent until the network namespace exists; no plugin was called before. */
  readonly netnsIdentity?: NetnsIdentity
  /** The host made the network namespace, and removes it with the pod. */
  readonly ownsNetns: boolean
  /** The qualified name of the plugin that set the pod up. */
  readonly plugin: string
  /** How that plugin was started. */
  readonly pluginStart: PluginStart
  readonly phase: SandboxPhase
  /** Why the last operation on it failed; a pod that is stuck says so here. */
  readonly problem?: string
  /** It came from a container runtime by CNI, which calls it so, and takes it down by this name. */
  readonly attachment?: CniAttachment
  /** The pod was asked for without an address. */
  readonly allowNoAddress?: boolean
  /** What the plugin said of the pod. */
  readonly status?: PodNetworkStatus
  /** The process that the sandbox is to end with, where there is one. */
  readonly owner?: ProcessIdentity
  /** ISO 8601 */
  readonly createdAt: string
  /** How long the set-up took, in milliseconds. */
  readonly setUpMs?: number
}

const schema = once(() => {
  const bandwidth = z.object({ ingress: z.optional(z.number()), egress: z.optional(z.number()) })

  const pod = z.object({
    namespace: z.string(),
    name: z.string(),
    sandboxId: z.string(),
    netns: z.string(),
    ifName: z.optional(z.string()),
    annotations: z.record(z.string(), z.string()),
    portMappings: z.array(
      z.object({
        hostPort: z.number(),
        containerPort: z.number(),
        protocol: z.enum(['tcp', 'udp', 'sctp']),
        hostIP: z.optional(z.string()),
      }),
    ),
    bandwidth: z.optional(bandwidth),
    policy: z.optional(policySchema()),
  })

  return z.object({
    version: z.literal(1),
    pod,
    previous: z.optional(pod),
    netnsIdentity: z.optional(z.object({ dev: z.number(), ino: z.number() })),
    ownsNetns: z.boolean(),
    plugin: z.string(),
    pluginStart: z.object({
      name: z.string(),
      packageDir: z.string(),
      podCIDR: z.string(),
      hairpinMode: z.enum(['promiscuous-bridge', 'hairpin-veth', 'none']),
      nonMasqueradeCIDR: z.string(),
      mtu: z.number(),
      options: z.optional(z.unknown()),
      configDir: z.optional(z.string()),
    }),
    phase: z.enum(['setting-up', 'ready', 'changing', 'tearing-down']),
    problem: z.optional(z.string()),
    attachment: z.optional(
      z.object({
        network: z.string(),
        containerId: z.string(),
        ifName: z.string(),
        podUid: z.optional(z.string()),
      }),
    ),
    allowNoAddress: z.optional(z.boolean()),
    status: z.optional(podNetworkStatus()),
    owner: z.optional(z.object({ pid: z.int(), startTime: z.string() })),
    createdAt: z.string(),
    setUpMs: z.optional(z.number()),
  })
})

/**
 * Parses a record's file; a string says what is wrong with it. What it says of the pod is held to the same rules as what
 * users ask for: a record decides what is removed.
 * @param sandboxId which sandbox's record it must be
 */
export function parseSandboxRecord(text: string, sandboxId: string): SandboxRecord | string {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return text.trim() === '' ? 'it is empty' : 'it is not JSON, or cut short'
  }
  const parsed = schema().safeParse(json, { reportInput: true })
  if (!parsed.success) return firstIssue(parsed.error, 'the record')
  // zod spells an absent key `T | undefined`; parsed output never holds such a key.
  const record = parsed.data as SandboxRecord
  const problems = [record.pod, ...(record.previous ? [record.previous] : [])].flatMap(podProblems)
  if (problems.length > 0) return problems.join('; ')
  if (record.pod.sandboxId !== sandboxId) return `it is the record of sandbox "${record.pod.sandboxId}"`
  if (record.previous && parsePodName(record.previous).sandboxId !== sandboxId)
    return 'it mixes two sandboxes'
  const isOwn = record.pod.netns === netnsPathOf(sandboxId)
  if (record.ownsNetns && !isOwn)
    return `its network namespace ${record.pod.netns} is not one that a host makes`
  return record
}
