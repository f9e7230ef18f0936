import { isDeepStrictEqual } from 'node:util'
import type { Policy } from '@podwire/api'
import type * as z from 'zod/mini'
import { issueMessage } from '../zod-issue.ts'
import { normalisePolicy, policyKeysAt, policySchema } from './schema.ts'

interface ParsedPolicy {
  /** Undefined where something is wrong. */
  readonly policy?: Policy
  /** What, each in a phrase with its path. */
  readonly problems: readonly string[]
}

/** Checks a policy, from wherever it comes. Of one that is written like one of the last few, the policy is the same object. */
export function parsePolicy(written: unknown): ParsedPolicy {
  // Sandboxes of one kind come with one policy, and to compare takes a fifth of the time.
  const known = lately.find((one) => isDeepStrictEqual(one.written, written))
  if (known) return { policy: known.policy, problems: [] }
  const parsed = policySchema().safeParse(written, { reportInput: true })
  if (!parsed.success) return { problems: parsed.error.issues.flatMap(problemsOf) }
  const policy = normalisePolicy(parsed.data)
  // As it was parsed: whoever wrote it may change it afterwards.
  lately.unshift({ written: parsed.data, policy })
  lately.length = Math.min(lately.length, mostKept)
  return { policy, problems: [] }
}

const lately: { readonly written: unknown; readonly policy: Policy }[] = []
const mostKept = 4

function problemsOf(issue: z.core.$ZodIssue): string[] {
  const path = ['policy', ...issue.path].reduce<string>(
    (text, part) =>
      typeof part === 'number' ? `${text}[${part}]` : text ? `${text}.${String(part)}` : String(part),
    '',
  )
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map(
      (key) => `${path}.${key}: unknown key. Valid here: ${policyKeysAt(issue.path).join(', ')}`,
    )
  return [`${path}: ${issueMessage(issue)}`]
}

/** The policy of a pod: of each side its own, else the configuration's. Undefined where nothing is limited. */
export function effectivePolicy(base: Policy | undefined, own: Policy | undefined): Policy | undefined {
  // One that is not made of two stays the object that it is, by which it is known.
  const policy = base && own ? { ...base, ...own } : (base ?? own ?? {})
  return policy.egress || policy.ingress ? policy : undefined
}

/** The names of hosts in a policy, for which somebody must answer DNS as long as the pod lives. */
export function hostNamesIn({ egress }: Policy): string[] {
  return [...(egress?.allow ?? []), ...(egress?.deny ?? [])].flatMap(({ host }) => host ?? [])
}
