import { randomUUID } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { messageOf } from '@podwire/api'
import { errors } from '../../errors.ts'
import { firstIssue } from '../../zod-issue.ts'
import { createLineReader } from './lines.ts'
import { type Message, maxMessageBytes, message } from './messages.ts'
import { fromWireError, toWireError } from './wire-error.ts'

/** The other end of a socket, which can be called. */
export interface Peer {
  /** Rejects as the call there did. A signal that aborts here aborts there; the call goes on until it is answered. */
  call(method: string, args: readonly unknown[], signal?: AbortSignal): Promise<unknown>
  tell(topic: string, details: unknown): void
  /** Rejects every call that waits, and those to come. */
  end(why: unknown): void
}

/** What a side does with what it hears. */
export interface PeerHandlers {
  handle(method: string, args: readonly unknown[], signal: AbortSignal): Promise<unknown>
  told(topic: string, details: unknown): void
  /** The other side said what it must not. */
  broken(problem: string): void
  /** A call or a telling came, not an answer. */
  charge?(): void
}

interface Waiting {
  resolve(result: unknown): void
  reject(error: unknown): void
}

/** Calls that a side may have open at once. */
const maxOpen = 10_000

export function createPeer(socket: Duplex, { handle, told, broken, charge }: PeerHandlers): Peer {
  // By an id that only the one who was called has seen: nothing else that is said can be taken for its answer.
  const waiting = new Map<string, Waiting>()
  const running = new Map<string, AbortController>()
  let ended: { readonly why: unknown } | undefined

  const send = (what: Message) => {
    const line = `${JSON.stringify(what)}\n`
    const bytes = Buffer.byteLength(line)
    if (bytes > maxMessageBytes) throw errors.PLUGIN_MESSAGE_TOO_LARGE({ bytes, limit: maxMessageBytes })
    if (socket.writable) socket.write(line)
  }

  const answerTo = (id: string) => {
    const call = waiting.get(id)
    waiting.delete(id)
    if (!call) stop(`it answered a call that nobody waits for (${id})`)
    return call
  }
  const run = async ({ id, method, args }: Extract<Message, { kind: 'call' }>) => {
    if (running.has(id)) return stop(`it called twice by one id (${id})`)
    if (running.size >= maxOpen) return stop(`it called more than ${maxOpen} times at once`)
    const controller = new AbortController()
    running.set(id, controller)
    try {
      const result = await handle(method, args, controller.signal)
      send({ kind: 'answer', id, ...(result === undefined ? {} : { result }) })
    } catch (error) {
      send({ kind: 'failure', id, error: toWireError(error) })
    } finally {
      running.delete(id)
    }
  }
  const hear = (heard: Message) => {
    if (heard.kind === 'answer') answerTo(heard.id)?.resolve(heard.result)
    if (heard.kind === 'failure') answerTo(heard.id)?.reject(fromWireError(heard.error))
    // Its answer may be on its way already.
    if (heard.kind === 'abort') running.get(heard.id)?.abort(fromWireError(heard.reason))
    if (heard.kind === 'call') void run(heard)
    if (heard.kind === 'tell') told(heard.topic, heard.details)
    if (heard.kind === 'call' || heard.kind === 'tell') charge?.()
  }
  let isBroken = false
  const stop = (problem: string) => {
    if (isBroken) return
    isBroken = true
    broken(problem)
  }

  const read = createLineReader(maxMessageBytes, (line, isCut) => {
    if (isBroken) return
    if (isCut) return stop(`it sent a message longer than ${maxMessageBytes} bytes`)
    try {
      const parsed = message().safeParse(JSON.parse(line))
      if (parsed.success) hear(parsed.data)
      else stop(`it sent a message of no kind that there is: ${firstIssue(parsed.error, 'it')}`)
    } catch (error) {
      stop(`it sent a message that can't be read: ${messageOf(error)}`)
    }
  })
  socket.on('data', (chunk: Buffer) => {
    if (!isBroken) read(chunk)
  })
  // Its end follows.
  socket.on('error', () => {})

  return {
    async call(method, args, signal) {
      if (ended) throw ended.why
      signal?.throwIfAborted()
      const id = randomUUID()
      const abort = () => send({ kind: 'abort', id, reason: toWireError(signal?.reason) })
      const answer = new Promise<unknown>((resolve, reject) => waiting.set(id, { resolve, reject }))
      try {
        send({ kind: 'call', id, method, args: [...args] })
        signal?.addEventListener('abort', abort, { once: true })
        return await answer
      } finally {
        waiting.delete(id)
        signal?.removeEventListener('abort', abort)
      }
    },
    tell: (topic, details) => send({ kind: 'tell', topic, details }),
    end(why) {
      ended = { why }
      const left = [...waiting.values()]
      waiting.clear()
      for (const { reject } of left) reject(why)
      for (const controller of running.values()) controller.abort(why)
    },
  }
}
