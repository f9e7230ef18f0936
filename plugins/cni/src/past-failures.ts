import { severalFailed } from './errors.ts'

/** Work that goes on past what fails. */
export interface PastFailures {
  attempt(work: Promise<unknown>): Promise<void>
  /** Throws what failed: the error itself where it is one, else one about all. */
  end(): void
}

export function pastFailures(what: string): PastFailures {
  const errors: Error[] = []
  return {
    attempt: async (work) => {
      await work.catch((thrown: unknown) =>
        errors.push(thrown instanceof Error ? thrown : new Error(String(thrown))),
      )
    },
    end: () => {
      const [first, ...more] = errors
      if (first) throw more.length === 0 ? first : severalFailed({ what, errors })
    },
  }
}
