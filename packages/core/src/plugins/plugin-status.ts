import { isIP } from 'node:net'
import { once, type PodNetworkStatus, parseCIDR } from '@podwire/api'
import * as z from 'zod/mini'
import { errors } from '../errors.ts'
import { firstIssue } from '../zod-issue.ts'

/** A pod's network status as a plugin returned it or a record kept it. */
export const podNetworkStatus = once(() => {
  const ip = z.string().check(z.refine((text) => isIP(text) !== 0, { error: 'not an IP address' }))
  const cidr = z
    .string()
    .check(
      z.refine((text) => parseCIDR(text) !== undefined, { error: 'not an address with a prefix length' }),
    )
  const interfaces = z.array(
    z.object({
      name: z.string(),
      network: z.optional(z.string()),
      ips: z.array(ip),
      mac: z.optional(z.string()),
      addresses: z.optional(z.array(z.object({ address: cidr, gateway: z.optional(ip) }))),
      routes: z.optional(z.array(z.object({ destination: cidr, gateway: z.optional(ip) }))),
      mtu: z.optional(z.int()),
      host: z.optional(z.object({ name: z.string(), mac: z.optional(z.string()) })),
    }),
  )
  return z.object({
    kind: z.optional(z.literal('PodNetworkStatus')),
    apiVersion: z.optional(z.literal('v1beta1')),
    ip,
    ips: z.optional(z.array(ip)),
    interfaces: z.optional(interfaces),
  })
})

/**
 * Checks what a plugin returned as a pod's status.
 * @throws PodwireError `BAD_PLUGIN_RESULT`
 */
export function parsePluginStatus(
  plugin: string,
  operation: string,
  returned: unknown,
): PodNetworkStatus | undefined {
  if (returned === undefined || returned === null) return undefined
  const parsed = podNetworkStatus().safeParse(returned, { reportInput: true })
  // zod spells an absent key `T | undefined`; parsed output never holds such a key.
  if (parsed.success) return parsed.data as PodNetworkStatus
  throw errors.BAD_PLUGIN_RESULT({ plugin, operation, returned, problem: firstIssue(parsed.error, 'it') })
}
