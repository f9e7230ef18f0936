/** How long an operation may take, and what else ends it. */
export interface OperationOptions {
  /** Aborting it kills the running plugin and its children. */
  readonly signal?: AbortSignal
  /** Milliseconds for the whole operation, roll-back not counted; by default two minutes, `Infinity` for none. */
  readonly deadlineMs?: number
  /** The span that plugins continue; left out where `traceparent` isn't valid. */
  readonly trace?: TraceContext
}

/** W3C trace context, handed on as TRACEPARENT, TRACESTATE and BAGGAGE. */
export interface TraceContext {
  readonly traceparent: string
  readonly tracestate?: string
  readonly baggage?: string
}

export interface Deadline {
  readonly signal: AbortSignal
  /** The deadline that passed, in milliseconds; undefined while it hasn't. */
  passed(): number | undefined
}

const defaultDeadlineMs = 120_000

// A timer takes no longer one, and would fire at once.
const longestTimerMs = 2 ** 31 - 1

/** Runs `work` with a signal that aborts at the deadline or with the caller's. */
export async function withDeadline<Value>(
  { signal, deadlineMs = defaultDeadlineMs }: OperationOptions,
  work: (deadline: Deadline) => Promise<Value>,
): Promise<Value> {
  const controller = new AbortController()
  let passed: number | undefined
  const timer = setTimeout(
    () => {
      passed = deadlineMs
      controller.abort(new Error(`deadline of ${deadlineMs} ms`))
    },
    Math.min(deadlineMs, longestTimerMs),
  )
  const abort = () => controller.abort(signal?.reason)
  if (signal?.aborted) abort()
  signal?.addEventListener('abort', abort, { once: true })
  try {
    return await work({ signal: controller.signal, passed: () => passed })
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
  }
}
