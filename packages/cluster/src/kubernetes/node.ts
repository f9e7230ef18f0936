import { isIPv4, isIPv6 } from 'node:net'
import { once } from '@podwire/api'
import * as z from 'zod/mini'
import { type PodSubnets, parsePodSubnets } from '../layout/pod-subnets.ts'
import { canonicalAddress } from '../layout/range.ts'

/** What is used of a Node. */
export interface KubernetesNode {
  readonly name: string
  /** Undefined while nobody has given it a pod CIDR. */
  readonly subnets?: PodSubnets
  readonly publicIP?: string
  readonly publicIPv6?: string
}

const nodeSchema = once(() =>
  z.object({
    metadata: z.object({ name: z.string(), resourceVersion: z._default(z.string(), '') }),
    spec: z._default(
      z.object({ podCIDR: z.optional(z.string()), podCIDRs: z.optional(z.array(z.string())) }),
      {},
    ),
    status: z._default(
      z.object({
        addresses: z._default(z.array(z.object({ type: z.string(), address: z.string() })), []),
      }),
      { addresses: [] },
    ),
  }),
)

/** Undefined for what is not a Node. */
export function readNode(value: unknown): KubernetesNode | undefined {
  const parsed = nodeSchema().safeParse(value)
  if (!parsed.success) return undefined
  const { metadata, spec, status } = parsed.data
  const cidrs = spec.podCIDRs ?? (spec.podCIDR === undefined ? [] : [spec.podCIDR])
  const subnets = cidrs.length > 0 ? parsePodSubnets(cidrs.join()) : undefined
  const internal = status.addresses.filter(({ type }) => type === 'InternalIP').map(({ address }) => address)
  const publicIP = internal.find(isIPv4)
  const found6 = internal.find((address) => isIPv6(address) && !address.includes('%'))
  const publicIPv6 = found6 && canonicalAddress(found6)
  return {
    name: metadata.name,
    ...(subnets ? { subnets } : {}),
    ...(publicIP === undefined ? {} : { publicIP }),
    ...(publicIPv6 === undefined ? {} : { publicIPv6 }),
  }
}
