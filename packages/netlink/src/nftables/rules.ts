import type { Request } from '../socket/request.ts'
import { present } from '../wire/attributes.ts'
import type { Message } from '../wire/message.ts'
import { ruleAttributes } from './attributes.ts'
import type { Expression } from './expressions.ts'
import {
  attributesOf,
  type ChainRef,
  type Change,
  change,
  dump,
  familyOf,
  messages,
  type TableRef,
} from './request.ts'
import { decodeNotes, encodeNotes, type Notes } from './user-data.ts'

/** A rule's expressions, in order; lists among them count as their elements. */
export type Expressions = readonly (Expression | readonly Expression[])[]

export interface RuleRef extends ChainRef {
  /** The kernel's number for it, as `list` tells. */
  readonly handle: number
}

/** A rule as the kernel describes it. */
export interface Rule extends RuleRef, Notes {
  readonly expressions: readonly Expression[]
}

/** Where the rule goes: right behind or right before the rule of that handle; by default to the end, or the beginning. */
interface Place {
  readonly beside?: number
}

/** Adds a rule at the end of a chain, or behind another rule. Errors: `ENOENT` without the chain, or a set that it names. */
export const add = (chain: ChainRef, expressions: Expressions, notes: Notes & Place = {}): Change =>
  put('append', chain, expressions, notes)

/** The same at the beginning of a chain, or before another rule. */
export const insert = (chain: ChainRef, expressions: Expressions, notes: Notes & Place = {}): Change =>
  put('insert', chain, expressions, notes)

/** Puts a rule in another's place. Errors: `ENOENT`. */
export const replace = ({ handle, ...chain }: RuleRef, expressions: Expressions, notes: Notes = {}): Change =>
  put('replace', chain, expressions, notes, handle)

function put(
  verb: 'append' | 'insert' | 'replace',
  { family, table, chain }: ChainRef,
  expressions: Expressions,
  { beside, ...notes }: Notes & Place,
  handle?: number,
): Change {
  return change(verb, `rule ${family} ${table} ${chain}`, messages.newRule, family, () =>
    ruleAttributes.encode({
      table,
      chain,
      handle,
      position: beside,
      expressions: expressions.flat(),
      userData: encodeNotes(notes),
    }),
  )
}

/** Deletes a rule, or without a handle all of the chain. Errors: `ENOENT`. */
export const del = ({ family, table, chain, handle }: ChainRef & Partial<RuleRef>): Change =>
  change(
    handle === undefined ? 'flush' : 'delete',
    `rule ${family} ${table} ${chain}`,
    messages.delRule,
    family,
    () => ruleAttributes.encode({ table, chain, handle }),
  )

/** The rules of a table or of one chain. */
export const list = (of: TableRef & Partial<ChainRef>): Request<Rule[]> =>
  dump({ ...query(of), parse: (answers) => answers.flatMap((answer) => decode(answer) ?? []) })

/** How many there are, without reading them: in a fraction of the time. */
export const count = (of: TableRef & Partial<ChainRef>): Request<number> =>
  dump({ ...query(of), parse: (answers) => answers.length })

const query = ({ family, table, chain }: TableRef & Partial<ChainRef>) => ({
  operation: `list rules of ${family} ${table}${chain === undefined ? '' : ` ${chain}`}`,
  message: messages.getRule,
  family,
  attributes: () => ruleAttributes.encode({ table, chain }),
})

function decode(message: Message): Rule | undefined {
  const family = familyOf(message)
  if (!family) return undefined
  const {
    table = '',
    chain = '',
    handle = 0,
    expressions = [],
    userData,
  } = ruleAttributes.decode(attributesOf(message))
  return present({ family, table, chain, handle, expressions, ...decodeNotes(userData) })
}
