import {
  type AllowedFlow,
  type ClosedFlow,
  type DeniedFlow,
  type EventDetails,
  FLOW_ALLOWED,
  FLOW_CLOSED,
  FLOW_DENIED,
  FLOW_LOST,
  once,
} from '@podwire/api'
import * as z from 'zod/mini'

const schemas = once(() => {
  const ends = {
    pod: z.object({ namespace: z.string(), name: z.string(), sandboxId: z.string() }),
    direction: z.enum(['egress', 'ingress']),
    protocol: z.string(),
    address: z.optional(z.string()),
    port: z.optional(z.number()),
    name: z.optional(z.string()),
    count: z.number(),
  }
  const allowed = z.object({ ...ends, address: z.string(), start: z.optional(z.string()) })
  const traffic = z.optional(z.object({ bytes: z.number(), packets: z.number() }))
  return {
    [FLOW_DENIED]: z.object({ ...ends, rule: z.string(), first: z.string(), last: z.string() }),
    [FLOW_ALLOWED]: allowed,
    [FLOW_CLOSED]: z.extend(allowed, {
      durationMs: z.optional(z.number()),
      sent: traffic,
      received: traffic,
    }),
    [FLOW_LOST]: z.object({}),
  }
})

/** What a plugin reports of flows, by the event's name. */
export type FlowReport =
  | { readonly event: typeof FLOW_DENIED; readonly flow: DeniedFlow }
  | { readonly event: typeof FLOW_ALLOWED; readonly flow: AllowedFlow }
  | { readonly event: typeof FLOW_CLOSED; readonly flow: ClosedFlow }
  | { readonly event: typeof FLOW_LOST; readonly flow: object }

/** Undefined for what is something else, or not as it should be. */
export function parseFlow(event: string, details: EventDetails): FlowReport | undefined {
  if (!event.startsWith('flow:')) return undefined
  const all: Partial<Record<string, z.ZodMiniType>> = schemas()
  const parsed = Object.hasOwn(all, event) ? all[event]?.safeParse(details) : undefined
  // Each schema is that of the event of its name; zod spells an absent key `T | undefined`.
  return parsed?.success ? ({ event, flow: parsed.data } as FlowReport) : undefined
}
