import type { DeniedFlow, PodRef } from '@podwire/api'
import type { NetworkHost } from '@podwire/core'
import { printNote } from './output.ts'
import { peerText } from './peer.ts'
import type { Suggestions } from './suggested-rules.ts'

/** What policies denied while it was watched; packets of one kind are one. */
export interface DeniedWatch {
  /** Of one pod: a daemon tells of everybody's. */
  of(pod: PodRef): readonly DeniedFlow[]
}

/** Watches from now on. */
export function watchDenied(events: NetworkHost['events']): DeniedWatch {
  const kinds = new Map<string, DeniedFlow>()
  events.on('flow:denied', ({ plugin: _, ...flow }) => {
    const { count, first, last, ...kind } = flow
    const key = JSON.stringify(kind)
    const before = kinds.get(key)
    kinds.set(key, before ? { ...before, count: before.count + count, last } : flow)
  })
  return { of: ({ sandboxId }) => [...kinds.values()].filter(({ pod }) => pod.sandboxId === sandboxId) }
}

/** For people, on stderr: the command's output is its own. */
export function printDenied(flows: readonly DeniedFlow[]): void {
  if (flows.length === 0) printNote('nothing was denied')
  for (const flow of flows) {
    const times = flow.count === 1 ? 'once' : `${flow.count} times`
    printNote(`denied ${times} by ${flow.rule}: ${peerText(flow)}`)
  }
}

/** For people too: the flags to say another time, or that there are none. What is to be known before stands behind them, as a comment. */
export function printSuggested(flows: readonly DeniedFlow[], { suggested, notSuggested }: Suggestions): void {
  for (const { allow, caution } of suggested)
    printNote(`--allow ${allow}${caution === undefined ? '' : `  # ${caution}`}`)
  for (const { allow, caution } of notSuggested) printNote(`not suggested: ${allow}, which ${caution}`)
  if (suggested.length > 0) return
  printNote(
    flows.length === 0
      ? 'no flag to suggest: nothing was denied'
      : notSuggested.length > 0
        ? 'no other flag to suggest'
        : 'no flag to suggest: what was denied is denied by a rule or a limit, whatever is allowed',
  )
}
