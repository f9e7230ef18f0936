import { setTimeout as sleep } from 'node:timers/promises'

/** An answer that resolves with `value`. */
export function resolves(): () => Promise<void>
export function resolves<Value>(value: Value): () => Promise<Value>
export function resolves(value?: unknown): () => Promise<unknown> {
  return async () => value
}

/** An answer that rejects with `reason`: an error, or any other value that a careless plugin would throw. */
export function rejects(reason: unknown): () => Promise<never> {
  return async () => {
    throw reason
  }
}

/** An answer that throws before it returns a promise. */
export function throws(reason: unknown): () => never {
  return () => {
    throw reason
  }
}

/** The answer `then`, `milliseconds` later; rejects with the signal's reason when it aborts in between. */
export function after<Args extends unknown[], Value>(
  milliseconds: number,
  then: (...args: Args) => Promise<Value>,
): (...args: Args) => Promise<Value> {
  return async (...args) => {
    const signal = signalOf(args)
    await sleep(milliseconds, undefined, signal ? { signal } : {}).catch((error) => {
      throw signal?.reason ?? error
    })
    return then(...args)
  }
}

/** An answer that never comes: it rejects with the signal's reason when that aborts; without a signal it stays pending. */
export function hangs(): (...args: unknown[]) => Promise<never> {
  return (...args) =>
    new Promise((_resolve, reject) => {
      const signal = signalOf(args)
      if (signal?.aborted) reject(signal.reason)
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
}

/** The worst answer: pending for ever, whatever the signal says. */
export function hangsForever(): () => Promise<never> {
  return () => new Promise(() => {})
}

function signalOf(args: readonly unknown[]): AbortSignal | undefined {
  return args.find((arg) => arg instanceof AbortSignal)
}
