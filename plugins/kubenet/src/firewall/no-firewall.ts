import { errors } from '../errors.ts'

/** For a kernel that has none: pods work without, but nothing is masqueraded or published. */
export function noFirewall(problem: string) {
  return {
    problem,
    cutOff: undefined,
    apply() {},
    isIntact: () => true,
    ensure: () => true,
    look: 0,
    change: async () => {},
    restore() {},
    compare: () => ({ missing: [], leftover: [] }),
    holds: () => false,
    forgetFlows: async () => {},
    restartRebuilds() {},
    ask(): never {
      throw errors.POLICY_UNAVAILABLE({ reason: problem })
    },
    transact(): never {
      throw errors.POLICY_UNAVAILABLE({ reason: problem })
    },
    forgetConnections: async () => {},
    onLoss: () => ({ stop() {} }),
    remove() {},
    close() {},
  }
}
