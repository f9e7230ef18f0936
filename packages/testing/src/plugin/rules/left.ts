import { setTimeout as sleep } from 'node:timers/promises'
import { compareStates, describeDifference, type State } from '../../kernel-state/state.ts'
import { broken } from '../verdict.ts'

/** Breaks the rule where more than `before` stays after a while: what is ended or closed goes in a moment. */
export async function mustBeEmptied(
  before: State,
  read: () => Promise<State>,
  patienceMs = 2_000,
): Promise<void> {
  const end = performance.now() + patienceMs
  for (;;) {
    const { added } = compareStates(before, await read())
    if (added.length === 0) return
    if (performance.now() > end) broken(describeDifference({ added, gone: [] }))
    await sleep(50)
  }
}
