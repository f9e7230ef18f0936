type AnyAnswer = (...args: unknown[]) => unknown

/** The script of a mock and the record of its calls, whatever it mocks. */
export interface Script {
  readonly calls: { readonly method: string; readonly args: readonly unknown[] }[]
  /** Sets what a method does: one answer for every call, or one for each, the last again for all that follow. */
  set(method: string, answers: unknown): void
  /** The answer to the next call. */
  next(method: string): AnyAnswer | undefined
  /** A method that records its call and gives its answer; without one it resolves with nothing. */
  method(name: string): AnyAnswer
}

export function createScript(): Script {
  const calls: Script['calls'] = []
  const scripts = new Map<string, AnyAnswer[]>()
  const next: Script['next'] = (method) => {
    const left = scripts.get(method)
    return left && left.length > 1 ? left.shift() : left?.[0]
  }
  return {
    calls,
    // Answers are typed where they are given; the table holds them all as one type.
    set: (method, answers) => void scripts.set(method, [answers].flat() as AnyAnswer[]),
    next,
    method:
      (name) =>
      (...args) => {
        calls.push({ method: name, args })
        const answer = next(name)
        return answer ? answer(...args) : Promise.resolve()
      },
  }
}
