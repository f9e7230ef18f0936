import { inspect } from 'node:util'
import { isPodwireError, messageOf } from '@podwire/api'

/** Prints what went wrong to stderr, with `json` to stdout as well, and returns the exit code. */
export function reportError(error: unknown, { json, verbose }: { json: boolean; verbose: boolean }): 1 | 2 {
  const errors = flatten(error)
  for (const one of errors) console.error(`podwire: ${messageOf(one)}`)
  if (verbose) console.error(inspect(error, { depth: 6 }))
  if (json) console.log(JSON.stringify({ errors: errors.map(asJson) }))
  return errors.every((one) => isPodwireError(one) && one.exitCode === 2) ? 2 : 1
}

function flatten(error: unknown): unknown[] {
  return error instanceof AggregateError ? error.errors.flatMap(flatten) : [error]
}

function asJson(error: unknown) {
  const message = messageOf(error)
  if (isPodwireError(error)) return { code: error.code, message, details: error.details }
  const code = error instanceof Error && 'code' in error ? error.code : 'UNKNOWN'
  return { code, message }
}
