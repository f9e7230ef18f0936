import { type Logger, messageOf } from '@podwire/api'
import type { ClusterEvent } from './cluster.ts'

/** Tells of one event after the other, in order; who is told may take its time. */
export function createTeller(onEvent: (event: ClusterEvent) => Promise<void> | void, log: Logger) {
  let last: Promise<void> = Promise.resolve()
  return {
    tell(event: ClusterEvent): void {
      last = last
        .then(() => onEvent(event))
        .catch((error: unknown) => log.error(`cluster: ${event.event}: ${messageOf(error)}`, { error }))
    },
    done: () => last,
  }
}
