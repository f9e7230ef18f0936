import { createHash } from 'node:crypto'
import type { Policy } from '@podwire/api'
import type { IpFamily } from '../ipam/cidr.ts'
import { type CompiledPolicy, compilePolicy } from './compile.ts'

/** What the kernel is told of a policy; pods for which all of this is the same share it. */
export interface KernelPolicy {
  /**
   * What the names of all that the kernel has of it end with. Says all that is in the policy, so that every process calls it the same,
   * and no two are called the same.
   */
  readonly suffix: string
  readonly policy: CompiledPolicy
  readonly families: readonly IpFamily[]
  /** Where what is denied is told. */
  readonly logGroup: number
}

/**
 * Undefined for a policy that limits nothing.
 * @throws Error about a rule that can't be
 */
export function kernelPolicyOf(
  policy: Policy,
  families: readonly IpFamily[],
  logGroup: number,
): KernelPolicy | undefined {
  if (!policy.egress && !policy.ingress) return undefined
  // Pods of one policy have it from one place mostly, or from texts that are the same.
  const compiled = compilePolicy(policy)
  const own = known.get(compiled) ?? new Map<string, KernelPolicy>()
  known.set(compiled, own)
  const variant = `${families.join()} ${logGroup}`
  const made = own.get(variant) ?? make(policy, compiled, families, logGroup)
  own.set(variant, made)
  return made
}

const known = new WeakMap<CompiledPolicy, Map<string, KernelPolicy>>()

function make(
  policy: Policy,
  compiled: CompiledPolicy,
  families: readonly IpFamily[],
  logGroup: number,
): KernelPolicy {
  const text = JSON.stringify([policy.egress ?? null, policy.ingress ?? null, families, logGroup])
  const suffix = `-${createHash('sha256').update(text).digest('hex').slice(0, SUFFIX_DIGITS)}`
  return { suffix, policy: compiled, families, logGroup }
}

/** 128 bits. */
const SUFFIX_DIGITS = 32

/** Of the name of anything that the kernel has of a policy. */
export const suffixIn = (name: string): string | undefined => /-[0-9a-f]{32}$/.exec(name)?.[0]
