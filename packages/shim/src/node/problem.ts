// Those below 100 are the CNI spec's.
export const INVALID_ENVIRONMENT = 4
export const IO_FAILURE = 5
export const DECODING_FAILURE = 6
export const TRY_AGAIN_LATER = 11
export const NOT_AVAILABLE = 50
export const SETTINGS_REFUSED = 100

/** What went wrong, as CNI tells it. */
export class Problem extends Error {
  readonly code: number

  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

/** What a system call says, without the call: `no such file or directory`. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return /^E[A-Z0-9]+: (.*?)(?:, |$)/.exec(error.message)?.[1] ?? error.message
}

export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined
}
