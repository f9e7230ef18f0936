import { setTimeout as sleep } from 'node:timers/promises'
import { describeThrown } from './subject.ts'
import { broken } from './verdict.ts'

/** How a call ended. */
export type Outcome<Value> =
  | { readonly ok: true; readonly value: Value; readonly milliseconds: number }
  | { readonly ok: false; readonly error: unknown; readonly milliseconds: number }

/** How long calls may take, in milliseconds. */
export interface Patience {
  readonly deadlineMs: number
  readonly graceMs: number
}

/**
 * Calls a plugin as a host does: with a signal that aborts at the deadline, or when `outer` does. A call that doesn't
 * end within the grace time after that breaks the rule.
 */
export async function settle<Value>(
  what: string,
  { deadlineMs, graceMs }: Patience,
  call: (signal: AbortSignal) => Value | Promise<Value>,
  outer?: AbortSignal,
): Promise<Outcome<Value>> {
  const started = performance.now()
  const end = new AbortController()
  const deadline = new AbortController()
  // A timer holds what it calls: on Node.js 20 an AbortSignal.timeout() that is only part of another signal may be collected as garbage.
  const timer = setTimeout(() => deadline.abort(new DOMException('deadline', 'TimeoutError')), deadlineMs)
  const signal = AbortSignal.any(outer ? [deadline.signal, outer] : [deadline.signal])
  const late = (async () => {
    await aborted(signal, end.signal)
    await sleep(graceMs, undefined, { signal: end.signal })
    const why = outer?.aborted ? 'its signal aborted' : `the deadline of ${deadlineMs} ms`
    broken(`${what} had not ended ${graceMs} ms after ${why}`)
  })()
  late.catch(() => {})
  const milliseconds = () => Math.round(performance.now() - started)
  const ended = (async () => call(signal))().then(
    (value): Outcome<Value> => ({ ok: true, value, milliseconds: milliseconds() }),
    (error: unknown): Outcome<Value> => ({ ok: false, error, milliseconds: milliseconds() }),
  )
  try {
    return await Promise.race([ended, late])
  } finally {
    clearTimeout(timer)
    end.abort()
  }
}

function aborted(signal: AbortSignal, unless: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
    unless.addEventListener('abort', () => reject(unless.reason), { once: true })
  })
}

/** `resolved`, or what it rejected with. */
export function describeOutcome(outcome: Outcome<unknown>): string {
  return outcome.ok ? 'resolved' : `rejected: ${describeThrown(outcome.error)}`
}
