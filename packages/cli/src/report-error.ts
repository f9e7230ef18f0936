import { inspect } from 'node:util'
import { errnoOf, isPodwireError, messageOf } from '@podwire/api'
import { exitCodeOf } from './exit-code.ts'
import { printError, printJson, printNote } from './output.ts'
import { isPrivileged, PRIVILEGES_NEEDED } from './privileges.ts'
import { interrupted } from './signals.ts'

/** Where the documentation has a page for each code. */
const ERROR_PAGES = 'https://podwire.github.io/podwire/errors'

/**
 * Prints what went wrong to stderr, with `--json` to stdout as well, and returns the exit code.
 * @param argv what the command line was called with: an error may come before it is understood
 */
export function reportError(error: unknown, argv: readonly string[]): number {
  const flags = ownFlags(argv)
  const found = flatten(error).map(asInterruption)
  for (const one of found) printNote(messageOf(one))
  if (found.some(isRefusal) && !isPrivileged()) printNote(PRIVILEGES_NEEDED)
  if (flags.includes('--verbose')) printError(inspect(error, { depth: 6 }))
  for (const page of new Set(found.map(helpPage))) if (page) printNote(`help: ${page}`)
  if (flags.includes('--json')) printJson({ errors: found.map(asJson) })
  return exitCodeOf(found)
}

/** The arguments up to the command that is to be run in a pod, whose flags are its own. */
function ownFlags(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf('--')
  return end === -1 ? argv : argv.slice(0, end)
}

function flatten(error: unknown): unknown[] {
  return error instanceof AggregateError ? error.errors.flatMap(flatten) : [error]
}

/** That a signal came is the news; which call it cut off is not. */
function asInterruption(error: unknown): unknown {
  return interrupted.aborted && causes(error).includes(interrupted.reason) ? interrupted.reason : error
}

function causes(error: unknown): unknown[] {
  return [error, ...(error instanceof Error && error.cause !== undefined ? causes(error.cause) : [])]
}

/** Whether the kernel refused something to this user, however deep that lies. */
function isRefusal(error: unknown): boolean {
  return causes(error).some((one) => /\bEPERM\b|\bEACCES\b/.test(`${errnoOf(one)} ${messageOf(one)}`))
}

function asJson(error: unknown) {
  const message = messageOf(error)
  if (isPodwireError(error))
    return { code: error.code, message, details: error.details, help: helpPage(error) }
  return { code: errnoOf(error) ?? 'UNKNOWN', message }
}

/** What the kernel refuses has the name of its errno. */
const isErrno = (code: string) => /^E[A-Z0-9]+$/.test(code)

/** The page about an error: that of its innermost cause with a code, since those around it only say where it happened. */
function helpPage(error: unknown): string | undefined {
  const [outer, inner] = causes(error).filter(isPodwireError).slice(-2)
  const last = inner ?? outer
  if (!outer || !last) return undefined
  // Of an errno somebody may have said what it means here; who repeats it has not.
  if (isErrno(last.code) && !isErrno(outer.code) && !outer.message.includes(last.message))
    return `${ERROR_PAGES}/${outer.code}`
  return `${ERROR_PAGES}/${isErrno(last.code) ? 'system' : last.code}`
}
