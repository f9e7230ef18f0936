import * as c from '../wire/constants.ts'
import type { Message } from '../wire/message.ts'
import type { Request, Scope } from '../socket/request.ts'

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
  isWanted: (entry: T) => boolean = () => true,
): Request<T[]> {
  return {
    operation,
    protocol: c.NETLINK_ROUTE,
    type,
    flags: c.NLM_F_DUMP,
    body,
    parse: (messages) =>
      messages
        .filter((message) => message.type === entryType)
        .map(decode)
        .filter(isWanted),
  }
}

/** Flags of an `add`, which refuses what is there, and of a `replace`, which takes its place. */
export const ADD = c.NLM_F_CREATE | c.NLM_F_EXCL
export const REPLACE = c.NLM_F_CREATE | c.NLM_F_REPLACE
