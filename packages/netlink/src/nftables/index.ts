/**
 * nf_tables: the kernel's firewall, in transactions that are carried out as a whole or not at all. Requests are for a
 * socket of `openNetlink({ protocol: NETLINK_NETFILTER })`.
 */
export * from './build.ts'
export type { BaseChain, Chain, Hook, NewChain } from './chains.ts'
export * as chains from './chains.ts'
export { priorities } from './chains.ts'
export type { Data, Verdict } from './data.ts'
export { concatenate, type DataType, type SetType } from './data-types.ts'
export type { Element } from './elements.ts'
export * as elements from './elements.ts'
export type { Expression, Register, Stateful } from './expressions.ts'
export { watchLosses } from './monitor.ts'
export type { ChainRef, Change, SetRef, TableFamily, TableRef } from './request.ts'
export type { Expressions, Rule, RuleRef } from './rules.ts'
export * as rules from './rules.ts'
export type { NewSet, NftSet } from './sets.ts'
export * as sets from './sets.ts'
export type { NewTable, Table, TableFlag } from './tables.ts'
export * as tables from './tables.ts'
export {
  generation,
  generationAfter,
  isAlwaysChange,
  type TransactionOptions,
  transaction,
} from './transaction.ts'
export type { Notes } from './user-data.ts'
