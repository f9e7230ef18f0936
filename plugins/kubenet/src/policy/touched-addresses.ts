/**
 * Addresses that this process puts into policies, or takes out, while somebody looks for what else differs, in pieces: those are as
 * they should be already.
 */
export interface TouchedAddresses {
  touch(keys: readonly string[]): void
  /** Those that are touched from now on. */
  watch(): { has(key: string): boolean; end(): void }
}

export function createTouchedAddresses(): TouchedAddresses {
  const watching = new Set<Set<string>>()
  return {
    touch(keys) {
      for (const touched of watching) for (const key of keys) touched.add(key)
    },
    watch() {
      const touched = new Set<string>()
      watching.add(touched)
      return { has: (key) => touched.has(key), end: () => watching.delete(touched) }
    },
  }
}
