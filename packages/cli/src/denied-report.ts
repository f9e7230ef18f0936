import type { DeniedFlow, PodRef } from '@podwire/api'
import type { NetworkHost } from '@podwire/core'
import { printNote } from './output.ts'
import { peerText } from './peer.ts'
import { isNeverSuggested, type Suggestions } from './suggested-rules.ts'

/** What policies denied while it was watched; packets of one kind are one. */
export interface DeniedWatch {
  /** Of one pod: a daemon tells of everybody's. */
  of(pod: PodRef): DeniedFlows
}

export interface DeniedFlows {
  readonly flows: readonly DeniedFlow[]
  /** Whether more was denied than is told apart. */
  readonly isIncomplete: boolean
}

/** More kinds of one pod than this are not told apart: it may ask for names of its choice without end. */
const mostKinds = 4_096

/** Watches from now on. */
export function watchDenied(events: NetworkHost['events']): DeniedWatch {
  const pods = new Map<string, { readonly kinds: Map<string, DeniedFlow>; isIncomplete: boolean }>()
  events.on('flow:denied', ({ plugin: _, ...flow }) => {
    const { count, first, last, ...kind } = flow
    const { sandboxId } = flow.pod
    const own = pods.get(sandboxId) ?? { kinds: new Map<string, DeniedFlow>(), isIncomplete: false }
    pods.set(sandboxId, own)
    const key = JSON.stringify(kind)
    const before = own.kinds.get(key)
    if (before) own.kinds.set(key, { ...before, count: before.count + count, last })
    else if (own.kinds.size < mostKinds) own.kinds.set(key, flow)
    else own.isIncomplete = true
  })
  return {
    of({ sandboxId }) {
      const { kinds, isIncomplete = false } = pods.get(sandboxId) ?? {}
      return { flows: [...(kinds?.values() ?? [])], isIncomplete }
    },
  }
}

/** For people, on stderr: the command's output is its own. */
export function printDenied({ flows, isIncomplete }: DeniedFlows): void {
  if (flows.length === 0) printNote('nothing was denied')
  for (const flow of flows) {
    const times = flow.count === 1 ? 'once' : `${flow.count} times`
    const { what, why } = deniedText(flow)
    printNote(`denied ${times} by ${flow.rule}: ${what}${why}`)
  }
  if (isIncomplete) printNote('more was denied than could be told')
}

/** What was denied, and what there is to say of that besides the rule. */
export function deniedText(flow: DeniedFlow): { readonly what: string; readonly why: string } {
  const { protocol, name, address, rule } = flow
  if (rule !== 'address' || name === undefined || address === undefined)
    return { what: peerText(flow), why: '' }
  const remedy = isNeverSuggested(address) ? '' : `: --allow ${address} lets it`
  return {
    what: `${protocol} ${name} leads to ${address}`,
    why: `, which is not a public address${remedy}`,
  }
}

/** For people too: the flags to say another time, or that there are none. What is to be known before stands behind them, as a comment. */
export function printSuggested(
  flows: readonly DeniedFlow[],
  { suggested, notSuggested }: Suggestions,
  hasPolicy: boolean,
): void {
  for (const { allow, caution } of suggested)
    printNote(`--allow ${allow}${caution === undefined ? '' : `  # ${caution}`}`)
  for (const { allow, caution } of notSuggested) printNote(`not suggested: ${allow}, which ${caution}`)
  if (suggested.length > 0) return
  printNote(
    flows.length === 0
      ? `no flag to suggest: nothing was denied${hasPolicy ? '' : ', as there was no policy; what it needs is seen with: podwire run --isolated --suggest'}`
      : notSuggested.length > 0
        ? 'no other flag to suggest'
        : 'no flag to suggest: what was denied is denied by a rule or a limit, whatever is allowed',
  )
}
