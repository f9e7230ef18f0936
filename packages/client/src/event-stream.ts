import type { ClientRequest } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { errors } from './errors.ts'
import { isObject, lost, nodeHttp } from './http.ts'

/** One event as a daemon tells it. */
export interface StreamedEvent {
  /** For a later stream to begin after it. */
  readonly id: string
  /** `pod:setup:done`; `open` says that the stream has begun. */
  readonly event: string
  /** When it happened: ISO 8601. */
  readonly at: string
  readonly payload: unknown
}

/** What a stream tells, where it begins and ends. */
export interface StreamOptions {
  /** `flows`: of pods, allowed ones too, which the daemon watches as long as the stream is open; `denied`: without those. Default: all that happens, but allowed flows. */
  readonly of?: 'events' | 'flows' | 'denied'
  /** The last event that is known already. Default: begins with what happens from now on. */
  readonly after?: string | undefined
  /** Begins with the oldest event that the daemon still has. */
  readonly fromStart?: boolean
  /** Ends with the newest event there is. */
  readonly untilNow?: boolean
  readonly signal?: AbortSignal
  /** It alone doesn't keep the process running. */
  readonly background?: boolean
}

const retryMs = 250

/**
 * The events of a daemon, one after the other. A connection that is lost is made anew, and goes on after the last event
 * that came; what the daemon has forgotten by then is told as `events:dropped`.
 * @throws PodwireError when there is no daemon at the start
 */
export async function* streamEvents(socket: string, options: StreamOptions): AsyncGenerator<StreamedEvent> {
  const { signal, untilNow = false } = options
  let after = options.after
  for (let attempt = 0; !signal?.aborted; attempt++) {
    try {
      const from = after === undefined ? options : { ...options, after, fromStart: false }
      for await (const event of connect(socket, from)) {
        after = event.id
        attempt = 0
        yield event
      }
      if (untilNow) return
    } catch (error) {
      if (signal?.aborted) return
      if (attempt === 0 && after === undefined) throw error
    }
    await sleep(retryMs, undefined, { ref: !options.background, ...(signal ? { signal } : {}) }).catch(
      () => {},
    )
  }
}

async function* connect(socket: string, options: StreamOptions): AsyncGenerator<StreamedEvent> {
  const { of = 'events', after, fromStart = false, untilNow = false, signal, background = false } = options
  const query = new URLSearchParams({
    ...(fromStart ? { from: 'start' } : {}),
    ...(untilNow ? { until: 'now' } : {}),
    ...(of === 'denied' ? { only: 'denied' } : {}),
  })
  const path = `/v1/${of === 'events' ? 'events' : 'flows'}${query.size > 0 ? `?${query}` : ''}`
  const sent = nodeHttp().request({
    socketPath: socket,
    agent: false,
    path,
    headers: { host: 'podwire', accept: 'text/event-stream', ...(after ? { 'last-event-id': after } : {}) },
    ...(signal ? { signal } : {}),
  })
  if (background) sent.on('socket', (connection) => connection.unref())
  try {
    yield* parseEvents(await responseOf(sent, socket, path))
  } finally {
    sent.destroy()
  }
}

function responseOf(sent: ClientRequest, socket: string, path: string): Promise<AsyncIterable<Buffer>> {
  return new Promise((resolve, reject) => {
    sent.on('error', (cause) => reject(lost(socket, `GET ${path}`, cause)))
    sent.on('response', (response) => {
      if (response.statusCode === 200) resolve(response)
      else reject(errors.DAEMON_ANSWER({ what: `GET ${path}`, problem: `status ${response.statusCode}` }))
    })
    sent.end()
  })
}

/** Server-sent events: fields on lines of their own, an empty line after each event. */
async function* parseEvents(chunks: AsyncIterable<Buffer>): AsyncGenerator<StreamedEvent> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of chunks) {
    const blocks = (rest + decoder.decode(chunk, { stream: true })).split('\n\n')
    rest = blocks.pop() ?? ''
    for (const block of blocks) {
      const event = parseEvent(block)
      if (event) yield event
    }
  }
}

function parseEvent(block: string): StreamedEvent | undefined {
  const fields = new Map(
    block
      .split('\n')
      .map((line) => /^(\w+): ?(.*)$/.exec(line) ?? [])
      .map(([, field = '', value = '']) => [field, value]),
  )
  const [id, event, text] = ['id', 'event', 'data'].map((field) => fields.get(field))
  // A comment keeps the connection open, and says nothing.
  if (id === undefined || event === undefined || text === undefined) return undefined
  const told: unknown = JSON.parse(text)
  const at = isObject(told) && typeof told['at'] === 'string' ? told['at'] : ''
  return { id, event, at, payload: isObject(told) ? told['payload'] : undefined }
}
