import type { Policy } from '@podwire/api'

/** Whom a pod reaches, and who reaches it, by what the policies of both say: here they speak of pods alone, by their names. */
export const policies = {
  shut: { ingress: { default: 'deny' } },
  'for p0': { ingress: { default: 'deny', allow: [{ pod: '*/p0' }] } },
  'not to p1': { egress: { default: 'allow', deny: [{ pod: '*/p1' }] } },
} as const satisfies Record<string, Policy>

export type PolicyName = keyof typeof policies

/** Whether a pod of one policy reaches another one by its address. @param to the name of what is reached, and its policy */
export function mayReach(
  from: { readonly name: string; readonly policy?: PolicyName | undefined },
  to: { readonly name: string; readonly policy?: PolicyName | undefined },
): boolean {
  // What a pod sends to itself does not leave it.
  if (from.name === to.name) return true
  if (from.policy === 'not to p1' && to.name === 'p1') return false
  return to.policy === 'for p0' ? from.name === 'p0' : to.policy !== 'shut'
}
