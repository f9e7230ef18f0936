const factors: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

// What a timer can wait for.
const longest = 2 ** 31 - 1

/** Milliseconds of `500ms`, `30s`, `2m` or `1h`, or of a number, which counts milliseconds; undefined for anything else. */
export function parseDuration(value: string | number): number | undefined {
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(String(value)) ?? []
  const ms = typeof value === 'number' ? value : Number(digits) * (factors[unit] ?? Number.NaN)
  return ms > 0 && ms <= longest ? ms : undefined
}
