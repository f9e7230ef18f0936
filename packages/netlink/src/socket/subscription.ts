import { errors, type NetlinkError } from '../errors.ts'
import { native } from '../native.ts'
import type { Message } from '../wire/message.ts'
import { closeSocket, receive } from './socket.ts'

export interface Subscription<T> {
  /** In words, for errors: `watch network`. */
  readonly operation: string
  /** What a message tells; nothing when it isn't one of those that are listened for. */
  read(message: Message): readonly T[]
  /** Ends the iteration, without an error. */
  readonly signal?: AbortSignal | undefined
  /** Keeps the process alive; default: true. */
  readonly ref?: boolean
  /** How many may wait to be read: the newest are lost beyond that, and when the kernel has lost some. Otherwise that is an error. */
  readonly capacity?: number
  /** With a capacity: what stands in the iteration where some were lost, once for all that were lost in a row. */
  readonly lost?: T
}

/** So many datagrams are read in one turn of the event loop: who is flooded must still do all else. */
const MOST_AT_ONCE = 256

/** What a socket hears from now on, until the loop is left or the signal aborts. The socket is closed then. */
export function subscribe<T>(
  fd: number,
  { operation, read, signal, ref = true, capacity, lost }: Subscription<T>,
): AsyncIterableIterator<T> {
  const queue: T[] = []
  let isEnded = false
  let failure: unknown
  let wake = () => {}

  function take(messages: readonly Message[]) {
    for (const message of messages)
      for (const value of read(message))
        if (capacity === undefined || queue.length < capacity) queue.push(value)
        else missed()
  }

  function missed() {
    if (lost !== undefined && queue.at(-1) !== lost) queue.push(lost)
  }

  const poll = native().whenReadable(fd, () => {
    try {
      // The poll calls again while there is more.
      for (let left = MOST_AT_ONCE; left > 0; left--) {
        const messages = receive(fd)
        if (!messages) break
        take(messages)
      }
    } catch (error) {
      const isOverrun = (error as NetlinkError).code === 'ENOBUFS' // other errors have other codes
      if (!isOverrun || capacity === undefined) {
        failure = isOverrun ? errors.overrun({ operation, errno: ENOBUFS }) : error
        end()
      } else {
        missed()
        poll.again()
      }
    }
    wake()
  })

  if (!ref) poll.unref()

  function end() {
    if (isEnded) return
    isEnded = true
    signal?.removeEventListener('abort', end)
    poll.stop()
    closeSocket(fd)
    wake()
  }

  if (signal?.aborted) end()
  signal?.addEventListener('abort', end)

  async function next(): Promise<IteratorResult<T>> {
    while (queue.length === 0 && !isEnded)
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    if (queue.length > 0) return { value: queue.shift()!, done: false }
    if (!failure) return { value: undefined, done: true }
    const error = failure
    failure = undefined
    throw error
  }

  return {
    next,
    async return() {
      queue.length = 0
      end()
      return { value: undefined, done: true }
    },
    [Symbol.asyncIterator]() {
      return this
    },
  }
}

const ENOBUFS = 105
