/** What a {@link PodwireError} is made of. */
export interface PodwireErrorInit {
  /** Stable and for programs: `PLUGIN_NOT_FOUND`. */
  code: string
  /** One line for the person at the terminal: what was wrong, the value, what to do next. */
  message: string
  /** The values behind the message, for logs and `--json`. */
  details?: Readonly<Record<string, unknown>>
  cause?: unknown
  /** What a command line exits with: 1, it failed; 2, it was used or configured wrongly. */
  exitCode?: 1 | 2
}

/**
 * An error that says what was wrong, with which value, and what to do next.
 * Recognise it by shape, with {@link isPodwireError}: two packages may carry two copies of this class.
 */
export class PodwireError extends Error {
  readonly code: string
  readonly details: Readonly<Record<string, unknown>>
  readonly exitCode: 1 | 2

  constructor({ code, message, details = {}, cause, exitCode = 1 }: PodwireErrorInit) {
    super(message, cause === undefined ? {} : { cause })
    this.name = 'PodwireError'
    this.code = code
    this.details = details
    this.exitCode = exitCode
  }
}

/** Whether a thrown value is a {@link PodwireError}, of this class, one derived from it, or another copy of the package. */
export function isPodwireError(error: unknown): error is PodwireError {
  return (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'string' &&
    'details' in error &&
    typeof error.details === 'object' &&
    'exitCode' in error
  )
}

/** What an error of one code says. */
export interface ErrorEntry<Details> {
  /** What was wrong, with the value. Write the types of both parameters: the table takes them from here. */
  message(details: Details, cause: unknown): string
  /** What to do next, a sentence of its own. */
  remedy?: string | ((details: Details) => string | undefined)
  /** Default: 1, it failed. A function where the cause decides. */
  exitCode?: 1 | 2 | ((cause: unknown) => 1 | 2)
}

type Arguments<Details> = unknown extends Details
  ? [details?: Readonly<Record<string, never>>, cause?: unknown]
  : [details: Details, cause?: unknown]

/** One function for each code of a table. */
export type ErrorFactories<DetailsOf, E = PodwireError> = {
  readonly [Code in keyof DetailsOf]: (...given: Arguments<DetailsOf[Code]>) => E
}

/**
 * A package's table of errors: code → message, remedy, exit code. Returns one function for each code, which takes the
 * details that the message is made of, and the cause: `throw errors.NOT_A_NETNS({ path }, cause)`.
 * @param create makes the error of a class of the package's own, with what its entries hold besides
 */
export function defineErrors<DetailsOf, E = PodwireError, More = unknown>(
  table: { readonly [Code in keyof DetailsOf]: ErrorEntry<DetailsOf[Code]> & More },
  create?: (init: PodwireErrorInit, entry: More) => E,
): ErrorFactories<DetailsOf, E> {
  // The table's own type ties each entry to its details; a loop over it can't.
  const entries = Object.entries(table) as [string, ErrorEntry<Readonly<Record<string, unknown>>> & More][]
  const factories = entries.map(([code, entry]) => {
    const { message, remedy, exitCode = 1 } = entry
    const factory = (details: Readonly<Record<string, unknown>> = {}, cause?: unknown) => {
      const advice = typeof remedy === 'function' ? remedy(details) : remedy
      const text = withAdvice(message(details, cause), advice)
      const exits = typeof exitCode === 'function' ? exitCode(cause) : exitCode
      const init = { code, message: text, details, cause, exitCode: exits }
      return create ? create(init, entry) : new PodwireError(init)
    }
    return [code, factory]
  })
  // Object.fromEntries forgets the keys.
  return Object.fromEntries(factories) as ErrorFactories<DetailsOf, E>
}

function withAdvice(message: string, advice: string | undefined): string {
  if (!advice) return message
  return /[.!?]$/.test(message) ? `${message} ${advice}` : `${message}. ${advice}`
}

/** The message of whatever was thrown; a plugin may throw a string, or nothing at all. */
export function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message || thrown.name
  if (typeof thrown === 'string') return thrown
  return `a value that is not an error was thrown: ${describeValue(thrown)}`
}

/** The code of a system error, such as `ENOENT`; undefined for anything else. */
export function errnoOf(thrown: unknown): string | undefined {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined
  return typeof code === 'string' ? code : undefined
}

/** For `catch`: errors of these codes are none, and resolve with undefined; all others are thrown on. */
export function ignoring(...codes: readonly string[]) {
  return (thrown: unknown): undefined => {
    if (!codes.includes(errnoOf(thrown) ?? '')) throw thrown
  }
}

/** A value as it may stand in a message: JSON where it can be, cut at 80 characters, control characters escaped. */
export function describeValue(value: unknown): string {
  let text: string | undefined
  try {
    text = JSON.stringify(value)
  } catch {
    // A cycle or a throwing getter: its type must do.
  }
  text ??= typeof value === 'bigint' ? `${value}n` : typeof value
  return printable(text.length > 80 ? `${text.slice(0, 79)}…` : text)
}

// C0 without tab and newline, DEL, C1, and what turns the direction of writing round.
const unprintable = /[\0-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g

/** Text from outside as it may reach a terminal or a log: control characters are spelt `\u001b`; tabs and newlines stay. */
export function printable(text: string): string {
  return text.replace(unprintable, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
