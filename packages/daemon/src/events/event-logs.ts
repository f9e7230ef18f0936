import { FLOW_ALLOWED, FLOW_CLOSED, FLOW_DENIED, FLOW_LOST } from '@podwire/api'
import { createEventLog, type EventLog } from './event-log.ts'

/** What a daemon keeps of what happened lately, to tell it again. */
export interface EventLogs {
  /** All but allowed flows, of which there may be thousands in a second: they would leave no room for anything else. */
  readonly all: EventLog
  /** Flows of pods: denied ones, and those that were allowed while somebody watched; those that were open before, until somebody begins to watch anew. */
  readonly flows: EventLog
  append(event: string, payload: unknown): void
}

/** They are told anew whenever somebody begins to watch. */
const isOpenAlready = (event: string, payload: unknown) =>
  event === FLOW_ALLOWED && typeof payload === 'object' && payload !== null && !('start' in payload)

/** What a plugin tells then, after it, is all there is. */
const beginsAnew: ReadonlySet<string> = new Set(['plugin:ready', 'plugin:restarted'])

const flows: ReadonlySet<string> = new Set([FLOW_DENIED, FLOW_ALLOWED, FLOW_CLOSED, FLOW_LOST])

export function createEventLogs(): EventLogs {
  const logs = {
    all: createEventLog({ events: 4_096, bytes: 4 * 2 ** 20 }),
    flows: createEventLog({ events: 8_192, bytes: 4 * 2 ** 20 }),
  }
  return {
    ...logs,
    append: (event, payload) => {
      if (beginsAnew.has(event)) logs.flows.pass()
      if (flows.has(event)) logs.flows.append(event, payload, isOpenAlready(event, payload))
      if (!flows.has(event) || event === FLOW_DENIED) logs.all.append(event, payload)
    },
  }
}
