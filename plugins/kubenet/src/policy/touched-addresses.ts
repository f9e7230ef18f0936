/**
 * Addresses that this process puts into sets of policies, or takes out, while somebody looks for what else differs, in pieces: those
 * are as they should be already, in that set.
 */
export interface TouchedAddresses {
  touch(set: string, keys: readonly string[]): void
  /** Those that are touched from now on. */
  watch(): { in(set: string): { has(key: string): boolean }; end(): void }
}

export function createTouchedAddresses(): TouchedAddresses {
  const watching = new Set<Map<string, Set<string>>>()
  return {
    touch(set, keys) {
      for (const touched of watching) {
        const own = touched.get(set) ?? new Set()
        touched.set(set, own)
        for (const key of keys) own.add(key)
      }
    },
    watch() {
      const touched = new Map<string, Set<string>>()
      watching.add(touched)
      return {
        in: (set) => ({ has: (key) => touched.get(set)?.has(key) ?? false }),
        end: () => watching.delete(touched),
      }
    },
  }
}
