import { randomBytes } from 'node:crypto'
import { errorToJson } from '@podwire/api'

/** The last events of a daemon, each as it goes over the wire. */
export interface EventLog {
  /** @param isPassing it is told to who listens, and is no part of what is told later */
  append(event: string, payload: unknown, isPassing?: boolean): void
  /** Forgets what is passing. */
  pass(): void
  /** The number of the oldest event that is kept; one more than `last` where none is. */
  readonly oldest: number
  /** The number of the newest event; 0 before the first. */
  readonly last: number
  /** The event of a number that is kept, as text; empty where it has passed. */
  at(number: number): string
  /** What names an event in this daemon and no other: `EPOCH-NUMBER`. */
  idOf(number: number): string
  /** The number that an id of this daemon stands for; undefined for one of another, or none. */
  numberOf(id: string): number | undefined
  /** An event that is no part of the log, under the number of one that is. */
  format(number: number, event: string, payload: unknown): string
  /** Calls back after each event; returns what ends that. */
  onAppend(callback: () => void): () => void
}

/** How much is kept. */
export interface EventLogLimits {
  readonly events: number
  /** Of all kept events together. */
  readonly bytes: number
}

/** A single event that is longer is told without what it says. */
const longestEvent = 64 * 1024

export function createEventLog({ events: most, bytes: mostBytes }: EventLogLimits): EventLog {
  const epoch = randomBytes(4).toString('hex')
  const listeners = new Set<() => void>()
  const kept = new Map<number, string>()
  const passing = new Set<number>()
  let last = 0
  let oldest = 1
  let bytes = 0

  const idOf = (number: number) => `${epoch}-${number}`
  const format = (number: number, event: string, payload: unknown) => {
    const told = asText(payload)
    const data = `{"at":"${new Date().toISOString()}","payload":${told.length > longestEvent ? 'null' : told}}`
    return `id: ${idOf(number)}\nevent: ${event}\ndata: ${data}\n\n`
  }

  return {
    append: (event, payload, isPassing = false) => {
      const text = format(++last, event, payload)
      kept.set(last, text)
      if (isPassing) passing.add(last)
      bytes += text.length
      while (kept.size > most || (bytes > mostBytes && kept.size > 1)) {
        bytes -= kept.get(oldest)?.length ?? 0
        passing.delete(oldest)
        kept.delete(oldest++)
      }
      for (const callback of listeners) callback()
    },
    pass: () => {
      for (const number of passing) {
        bytes -= kept.get(number)?.length ?? 0
        kept.set(number, '')
      }
      passing.clear()
    },
    get oldest() {
      return oldest
    },
    get last() {
      return last
    },
    at: (number) => kept.get(number) ?? '',
    idOf,
    numberOf: (id) => {
      const [, ofDaemon, number] = /^([0-9a-f]{8})-(\d{1,15})$/.exec(id) ?? []
      return ofDaemon === epoch ? Math.min(Number(number), last) : undefined
    },
    format,
    onAppend: (callback) => {
      listeners.add(callback)
      return () => listeners.delete(callback)
    },
  }
}

function asText(payload: unknown): string {
  const plain = (_key: string, value: unknown) => {
    if (value instanceof Error) return errorToJson(value)
    return typeof value === 'bigint' ? `${value}n` : value
  }
  try {
    // A function that looks at each value takes most of the time, and few events need one.
    return JSON.stringify(payload, isSimple(payload) ? undefined : plain) ?? 'null'
  } catch {
    // A plugin may report what JSON can't hold.
    return 'null'
  }
}

function isSimple(payload: unknown): boolean {
  return typeof payload === 'object' && payload !== null && !('error' in payload) && !('details' in payload)
}
