import { describeValue, once, PodwireError } from '@podwire/api'
import * as z from 'zod/mini'

/** What was thrown, as it travels: an error with what it carries, or any other value. */
export type WireError = { readonly thrown?: unknown } | WiredError

interface WiredError {
  readonly name: string
  readonly message: string
  readonly stack?: string | undefined
  /** Its own properties: `code`, `details`, `exitCode` … */
  readonly fields: Readonly<Record<string, unknown>>
  readonly cause?: WireError | undefined
  /** Of an AggregateError. */
  readonly errors?: readonly WireError[] | undefined
}

export const wireError = once(() => {
  const any: z.ZodMiniType<WireError> = z.lazy(() =>
    z.union([
      z.strictObject({
        name: z.string(),
        message: z.string(),
        stack: z.optional(z.string()),
        fields: z.record(z.string(), z.unknown()),
        cause: z.optional(any),
        errors: z.optional(z.array(any)),
      }),
      z.strictObject({ thrown: z.optional(z.unknown()) }),
    ]),
  )
  return any
})

// Enough for a person. What a plugin throws may be of any size.
const maxText = 16 * 1024
const maxField = 64 * 1024
const maxDepth = 5
const maxErrors = 20

/** What was thrown, cut to what can travel. */
export function toWireError(thrown: unknown, depth = 0): WireError {
  if (!(thrown instanceof Error)) return { thrown: plain(thrown) }
  const { name, message, stack, cause, ...own } = thrown
  const inner = thrown instanceof AggregateError ? thrown.errors.slice(0, maxErrors) : []
  const isDeep = depth >= maxDepth
  return {
    name: String(name).slice(0, 100),
    message: String(message).slice(0, maxText),
    ...(typeof stack === 'string' ? { stack: stack.slice(0, maxText) } : {}),
    fields: plainFields(own),
    ...(cause === undefined || isDeep ? {} : { cause: toWireError(cause, depth + 1) }),
    ...(inner.length === 0 || isDeep ? {} : { errors: inner.map((one) => toWireError(one, depth + 1)) }),
  }
}

/** What was thrown on the other side: a PodwireError where it was one, with its code, details, cause and stack. */
export function fromWireError(wire: WireError): unknown {
  if (!('message' in wire)) return wire.thrown
  const { name, message, stack, fields } = wire
  const error = withCause(wire)
  const define = (key: string, value: unknown, enumerable: boolean) =>
    Object.defineProperty(error, key, { value, enumerable, writable: true, configurable: true })
  for (const [key, value] of Object.entries(fields)) if (!ofEveryError.has(key)) define(key, value, true)
  define('message', message, false)
  define('name', name, false)
  if (stack !== undefined) define('stack', stack, false)
  return error
}

const ofEveryError = new Set(['name', 'message', 'stack', 'cause', 'errors', '__proto__'])

function withCause({ message, fields, cause, errors }: WiredError): Error {
  const because = cause === undefined ? {} : { cause: fromWireError(cause) }
  if (errors) return new AggregateError(errors.map(fromWireError), message, because)
  const { code, details, exitCode } = fields
  const isPodwire =
    typeof code === 'string' && typeof details === 'object' && (exitCode === 1 || exitCode === 2)
  return isPodwire ? new PodwireError({ code, message, exitCode, ...because }) : new Error(message, because)
}

/** The properties of an object as JSON can carry them; what it can't, or what is large, as text. */
export function plainFields(object: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, plain(value)]))
}

function plain(value: unknown): unknown {
  try {
    const text = JSON.stringify(value)
    if (text === undefined) return value === undefined ? undefined : describeValue(value)
    return text.length > maxField ? describeValue(value) : JSON.parse(text)
  } catch {
    return describeValue(value)
  }
}
