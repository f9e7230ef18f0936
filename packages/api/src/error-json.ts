import { isPodwireError, messageOf, PodwireError } from './errors.ts'

/** An error as it goes from one process to another: what its message, code, details and causes say, without its stack. */
export interface ErrorJson {
  readonly name: string
  readonly message: string
  /** Of a PodwireError, or of a system error: `ENOENT`. */
  readonly code?: string
  /** Of a PodwireError; what JSON can't hold is left out. */
  readonly details?: Readonly<Record<string, unknown>>
  /** Of a PodwireError. */
  readonly exitCode?: 1 | 2
  readonly cause?: ErrorJson
  /** Of an AggregateError. */
  readonly errors?: readonly ErrorJson[]
}

// Deeper than any chain of causes; a cycle ends here.
const deepest = 12
const mostErrors = 100

/** What was thrown, as JSON: {@link errorFromJson} makes an error of it again that programs can't tell apart. */
export function errorToJson(thrown: unknown, depth = 0): ErrorJson {
  const message = messageOf(thrown)
  if (!(thrown instanceof Error)) return { name: 'Error', message }
  const { name, cause } = thrown
  const code = 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : undefined
  const isLast = depth >= deepest
  return {
    name,
    message,
    ...(code === undefined ? {} : { code }),
    ...(isPodwireError(thrown) ? { details: asJson(thrown.details), exitCode: thrown.exitCode } : {}),
    ...(cause === undefined || isLast ? {} : { cause: errorToJson(cause, depth + 1) }),
    ...(thrown instanceof AggregateError && !isLast
      ? { errors: thrown.errors.slice(0, mostErrors).map((one) => errorToJson(one, depth + 1)) }
      : {}),
  }
}

/** Details as plain JSON values. */
function asJson(details: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const plain = (_key: string, value: unknown) => {
    if (value instanceof Error) return errorToJson(value)
    return typeof value === 'bigint' ? `${value}n` : value
  }
  try {
    // Details are an object, and JSON of an object is one.
    return JSON.parse(JSON.stringify(details, plain)) as Record<string, unknown>
  } catch {
    // A cycle: the message says what matters.
    return {}
  }
}

/**
 * The error that {@link errorToJson} was given in another process. Takes any value: what isn't such JSON becomes an error
 * that says so.
 * @param replace may put an error of its own in the place of one, the innermost first
 */
export function errorFromJson(
  json: unknown,
  replace: (error: Error) => Error = (error) => error,
  depth = 0,
): Error {
  if (!isObject(json) || typeof json['message'] !== 'string') {
    return new Error('the other process failed, and what it said of it is not an error')
  }
  const { name, message, code, details, exitCode } = json
  const within = (inner: unknown) => errorFromJson(inner, replace, depth + 1)
  const isLast = depth >= deepest
  const cause = json['cause'] === undefined || isLast ? undefined : within(json['cause'])
  const withCause = cause === undefined ? {} : { cause }
  if (typeof code === 'string' && isObject(details) && (exitCode === 1 || exitCode === 2)) {
    return replace(new PodwireError({ code, message, details, exitCode, ...withCause }))
  }
  const errors = Array.isArray(json['errors']) && !isLast ? json['errors'].slice(0, mostErrors) : undefined
  const error = errors
    ? new AggregateError(errors.map(within), message, withCause)
    : new Error(message, withCause)
  if (typeof name === 'string') error.name = name
  return replace(typeof code === 'string' ? Object.assign(error, { code }) : error)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
