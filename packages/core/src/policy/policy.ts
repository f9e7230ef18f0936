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

/** Checks a policy, from wherever it comes. */
export function parsePolicy(written: unknown): ParsedPolicy {
  const parsed = policySchema().safeParse(written, { reportInput: true })
  if (parsed.success) return { policy: normalisePolicy(parsed.data), problems: [] }
  return { problems: parsed.error.issues.flatMap(problemsOf) }
}

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
  const policy = { ...base, ...own }
  return policy.egress || policy.ingress ? policy : undefined
}

/** The names of hosts in a policy, for which somebody must answer DNS as long as the pod lives. */
export function hostNamesIn({ egress }: Policy): string[] {
  return [...(egress?.allow ?? []), ...(egress?.deny ?? [])].flatMap(({ host }) => host ?? [])
}
