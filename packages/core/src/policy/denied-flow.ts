import type { DeniedFlow, EventDetails } from '@podwire/api'
import * as z from 'zod/mini'
import { once } from '../once.ts'

const schema = once(() =>
  z.object({
    pod: z.object({ namespace: z.string(), name: z.string(), sandboxId: z.string() }),
    direction: z.enum(['egress', 'ingress']),
    protocol: z.string(),
    address: z.optional(z.string()),
    port: z.optional(z.number()),
    name: z.optional(z.string()),
    rule: z.string(),
    count: z.number(),
    first: z.string(),
    last: z.string(),
  }),
)

/** What a plugin reports of denied packets; undefined when it is something else. */
export function parseDeniedFlow(details: EventDetails): DeniedFlow | undefined {
  const parsed = schema().safeParse(details)
  return parsed.success ? (parsed.data as DeniedFlow) : undefined // zod spells an absent key `T | undefined`
}
