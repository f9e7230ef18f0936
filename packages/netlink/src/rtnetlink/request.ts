import type { LinkRef, Lookup, Request, Scope } from '../socket/request.ts'
import * as c from '../wire/constants.ts'
import type { Message } from '../wire/message.ts'

/** An rtnetlink request that is acknowledged and has no other answer. */
export function change(
  operation: string,
  type: number,
  flags: number,
  body: (scope: Scope) => Uint8Array,
): Request<void> {
  return { operation, protocol: c.NETLINK_ROUTE, type, flags: flags | c.NLM_F_ACK, body, parse: () => {} }
}

/** An rtnetlink request for a table, whose entries of `entryType` are decoded and then chosen from. */
export function dump<T>(
  operation: string,
  [type, entryType]: [request: number, entry: number],
  body: (scope: Scope) => Uint8Array,
  decode: (message: Message) => T,
  isWanted: (entry: T, scope: Lookup) => boolean = () => true,
): Request<T[]> {
  return {
    operation,
    protocol: c.NETLINK_ROUTE,
    type,
    flags: c.NLM_F_DUMP,
    body,
    parse: (messages, scope) =>
      messages
        .filter((message) => message.type === entryType)
        .map(decode)
        .filter((entry) => isWanted(entry, scope)),
  }
}

/** Whether what belongs to a link of that index is wanted in a list of one link, or of all. Older kernels list everything. */
export const isOf = (link: LinkRef | undefined, index: number | undefined, scope: Lookup): boolean =>
  link === undefined || index === scope.index(link)

/** Flags of an `add`, which refuses what is there, and of a `replace`, which takes its place. */
export const ADD = c.NLM_F_CREATE | c.NLM_F_EXCL
export const REPLACE = c.NLM_F_CREATE | c.NLM_F_REPLACE
