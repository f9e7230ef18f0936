import type { Writable } from 'node:stream'
import type { EventLog } from './event-log.ts'

/** Where a client wants to begin and end. */
export interface Wanted {
  /** The id of the last event that it knows. */
  readonly after?: string | undefined
  /** Begin with the oldest that is kept, instead of what happens from now on. */
  readonly fromStart: boolean
  /** End with the newest there is, instead of going on. */
  readonly untilNow: boolean
}

/**
 * Sends events to a client until it goes, each when it can take it: nothing is queued for one that is slow, and once the
 * log has forgotten what comes next, it is told how much it missed. Returns what ends it.
 */
export function sendEvents(log: EventLog, to: Writable, { after, fromStart, untilNow }: Wanted): () => void {
  const known = after === undefined ? undefined : log.numberOf(after)
  const isOfAnother = after !== undefined && known === undefined
  const begin = known ?? (fromStart || isOfAnother ? 0 : log.last)
  let next = begin + 1

  const stop = log.onAppend(() => send())
  const send = () => {
    while (next <= log.last && !to.writableNeedDrain && !to.destroyed) {
      if (next < log.oldest) {
        to.write(log.format(log.oldest - 1, 'events:dropped', { missed: log.oldest - next }))
        next = log.oldest
      }
      const event = log.at(next++)
      if (event !== '') to.write(event)
    }
    if (!untilNow || next <= log.last) return
    stop()
    to.end()
  }
  to.write(log.format(begin, 'open', {}))
  // How much it missed of a daemon that is no more, nobody knows.
  if (isOfAnother) to.write(log.format(begin, 'events:dropped', {}))
  to.on('drain', send)
  to.on('close', stop)
  send()
  return stop
}
