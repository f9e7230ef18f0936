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

/** Whether a thrown value is a {@link PodwireError}, from this or any other copy of the package. */
export function isPodwireError(error: unknown): error is PodwireError {
  return error instanceof Error && error.name === 'PodwireError' && 'code' in error && 'details' in error
}

/** The message of whatever was thrown; a plugin may throw a string, or nothing at all. */
export function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message || thrown.name
  if (typeof thrown === 'string') return thrown
  return `a value that is not an error was thrown: ${describeValue(thrown)}`
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
  return text.length > 80 ? `${text.slice(0, 79)}…` : text
}
