import { errors } from './errors.ts'

/** Work that goes on although parts of it fail. */
export interface PastFailures {
  attempt(work: Promise<unknown>): Promise<void>
  /** Throws what failed: the error itself where it is one, else one about all. */
  end(): void
}

export function pastFailures(what: string): PastFailures {
  const failures: Error[] = []
  return {
    attempt: async (work) => {
      await work.catch((thrown: unknown) =>
        failures.push(thrown instanceof Error ? thrown : new Error(String(thrown))),
      )
    },
    end: () => {
      const [first, ...more] = failures
      if (first)
        throw more.length === 0 ? first : errors.CNI_SEVERAL_FAILED({ what, errors: failures }, first)
    },
  }
}
