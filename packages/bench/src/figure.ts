/** One row of a benchmark: ours beside a reference run in the same breath. */
export interface Figure {
  readonly bench: string
  readonly row: string
  /** Of `ours` and `reference`: `ms`, `pods/s` … */
  readonly unit: string
  readonly ours: number
  readonly reference: number
  /** Ours by the reference. */
  readonly ratio: number
  /** What the ratio is meant to be, and what the reference is. */
  readonly goal: string
}

export function figure(of: Omit<Figure, 'ratio'>): Figure {
  return { ...of, ratio: of.ours / of.reference }
}

/** The value that a share of the samples stays below: `quantile(samples, 0.5)` is the median. */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b)
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]
  if (value === undefined) throw new Error('there is no sample')
  return value
}

export const median = (samples: readonly number[]) => quantile(samples, 0.5)

/** Runs two things in turn, so that a machine that slows down slows both; times in milliseconds. */
export async function interleaved(
  times: number,
  ours: () => unknown,
  reference: () => unknown,
): Promise<{ ours: number[]; reference: number[] }> {
  const samples = { ours: [] as number[], reference: [] as number[] }
  // The first of each warms caches up.
  for (let i = 0; i <= times; i++) {
    const [a, b] = [await timed(ours), await timed(reference)]
    if (i === 0) continue
    samples.ours.push(a)
    samples.reference.push(b)
  }
  return samples
}

/** Milliseconds. */
export async function timed(run: () => unknown): Promise<number> {
  const started = performance.now()
  await run()
  return performance.now() - started
}
