import { errorFromJson, FLOW_DENIED, type Logger, messageOf } from '@podwire/api'
import type { NetworkHost } from '@podwire/core'
import { createHostEmitter, type HostEvents, hostEventNames } from '@podwire/core/events'
import { type StreamedEvent, streamEvents } from './event-stream.ts'
import { isObject } from './http.ts'

/** The events of a daemon, told as those of a host in process: those of an operation before it returns. */
export interface RemoteEvents {
  readonly events: NetworkHost['events']
  /** Resolves when the stream has begun, so that nothing of what is asked next is missed; at once where nobody listens. */
  begun(): Promise<void>
  /** Resolves when listeners have heard of all up to this event. */
  heard(lastEvent: string | undefined): Promise<void>
  /** As the host's: a stream of its own, which the daemon watches allowed flows for. */
  watchFlows(): Promise<() => Promise<void>>
  close(): void
}

/** How long to wait for events that were told, should their stream have broken. Milliseconds. */
const patienceMs = 2_000

const known: ReadonlySet<string> = new Set(hostEventNames)

export function createRemoteEvents(socket: string, log: Logger): RemoteEvents {
  const emitter = createHostEmitter((event, error) =>
    log.error(`a listener of ${event} failed: ${messageOf(error)}`, { error }),
  )
  const ended = new AbortController()
  let last: string | undefined
  /** Whether it goes on, and so is worth waiting for. */
  let isFollowing = false
  const waiting = new Set<() => void>()

  const take = ({ id, event, payload }: StreamedEvent) => {
    // The name is one of the table's, and the daemon made its payload from the event of that name.
    if (known.has(event)) emitter.emit(event as keyof HostEvents, revived(payload) as never)
    last = id
    for (const look of waiting) look()
  }
  const follow = async () => {
    for await (const event of streamEvents(socket, { background: true, signal: ended.signal })) take(event)
  }
  const until = (isDone: () => boolean) =>
    new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer)
        waiting.delete(look)
        resolve()
      }
      const look = () => {
        if (isDone()) done()
      }
      const timer = setTimeout(done, patienceMs)
      waiting.add(look)
      look()
    })
  const listen = () => {
    // Without a daemon, the first question says so.
    if (isFollowing) return
    isFollowing = true
    follow().catch((error: unknown) => {
      isFollowing = false
      for (const look of waiting) look()
      log.warn(`no events of the daemon: ${messageOf(error)}`)
    })
  }

  return {
    events: {
      on: (event, listener) => {
        listen()
        return emitter.on(event, listener)
      },
      once: (event, listener) => {
        listen()
        return emitter.once(event, listener)
      },
    },
    begun: async () => {
      if (isFollowing) await until(() => !isFollowing || last !== undefined)
    },
    heard: async (lastEvent) => {
      if (isFollowing && lastEvent !== undefined)
        await until(() => !isFollowing || isAtOrAfter(last, lastEvent))
    },
    watchFlows: async () => {
      const over = new AbortController()
      const signal = AbortSignal.any([ended.signal, over.signal])
      const stream = streamEvents(socket, { of: 'flows', background: true, signal })
      // The stream alone doesn't keep the process running, which waits for its beginning all the same.
      const running = setInterval(() => {}, patienceMs)
      const first = await stream.next().finally(() => clearInterval(running))
      let last: string | undefined = first.done ? undefined : first.value.id
      const following = follow(stream)
      return async () => {
        const wanted = await lastFlow(socket).catch(() => '')
        await until(() => isAtOrAfter(last, wanted))
        over.abort()
        await following
      }

      async function follow(events: AsyncIterable<StreamedEvent>) {
        for await (const { id, event, payload } of events) {
          // Denied ones come with all other events.
          if (known.has(event) && event !== FLOW_DENIED)
            emitter.emit(event as keyof HostEvents, payload as never) // as above
          last = id
          for (const look of waiting) look()
        }
      }
    },
    close: () => ended.abort(),
  }
}

/** The id of the newest flow that a daemon has told. */
async function lastFlow(socket: string): Promise<string> {
  for await (const { id } of streamEvents(socket, { of: 'denied', untilNow: true })) return id
  return ''
}

/** Ids are `EPOCH-NUMBER`; a daemon that was started anew has another epoch, and what was before it is no more. */
function isAtOrAfter(last: string | undefined, wanted: string): boolean {
  if (last === undefined) return false
  const [[epoch, number], [wantedEpoch, wantedNumber]] = [last.split('-'), wanted.split('-')]
  return epoch !== wantedEpoch || Number(number) >= Number(wantedNumber)
}

/** An event's error is an error again. */
function revived(payload: unknown): unknown {
  return isObject(payload) && 'error' in payload
    ? { ...payload, error: errorFromJson(payload['error']) }
    : payload
}
