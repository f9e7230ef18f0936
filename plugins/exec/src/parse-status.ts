import { isIP } from 'node:net'
import type { PodNetworkStatus, PodRef } from '@podwire/api'
import * as z from 'zod/mini'
import { badStatus } from './errors.ts'

const ip = z.string().check(z.refine((text) => isIP(text) !== 0, { error: 'not an IP address' }))

const statusSchema = z.object({
  kind: z.optional(z.enum(['', 'PodNetworkStatus'])),
  apiVersion: z.optional(z.enum(['', 'v1beta1'])),
  ip,
  ips: z.optional(z.array(ip)),
})

/**
 * What an executable printed as a pod's status; undefined when it printed nothing, so that the host looks for itself.
 * @throws PodwireError `EXEC_BAD_STATUS` that names what came
 */
export function parseStatus(executable: string, pod: PodRef, output: string): PodNetworkStatus | undefined {
  if (output.trim() === '') return undefined
  const reject = (problem: string) => badStatus({ executable, pod, problem, output })
  let json: unknown
  try {
    json = JSON.parse(output)
  } catch {
    throw reject('what it printed is not JSON')
  }
  const parsed = statusSchema.safeParse(json)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw reject(issue ? `${issue.path.join('.') || 'what it printed'}: ${issue.message}` : 'unknown shape')
  }
  const { ip: first, ips } = parsed.data
  return { ip: first, ...(ips ? { ips } : {}) }
}
