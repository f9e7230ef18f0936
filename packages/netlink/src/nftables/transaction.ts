import { encodeNetfilter, subsystem } from '../netfilter/nfnetlink.ts'
import type { Request } from '../socket/request.ts'
import { NETLINK_NETFILTER, NLM_F_EXCL } from '../wire/constants.ts'
import { attributes, be32 } from '../wire/fields.ts'
import { attributesOf, type Change, get, messages } from './request.ts'

const NFNL_MSG_BATCH_BEGIN = 0x10
const NFNL_MSG_BATCH_END = 0x11

const beginAttributes = attributes({ generation: [1, be32] })
const generationAttributes = attributes({ id: [1, be32] })

export interface TransactionOptions {
  /** Refuse with `ERESTART`, and change nothing, unless this is the ruleset's generation still. */
  readonly generation?: number | undefined
}

/**
 * A batch that the kernel carries out as a whole or not at all, for `netlink.batch`. Without steps it is empty: there is
 * nothing to send.
 */
export function transaction(
  steps: readonly (Change | readonly Change[])[],
  { generation }: TransactionOptions = {},
): Change[] {
  const changes = steps.flat()
  if (changes.length === 0) return []
  return [
    bracket('begin transaction', NFNL_MSG_BATCH_BEGIN, generation),
    ...changes,
    bracket('end transaction', NFNL_MSG_BATCH_END),
  ]
}

/** The ruleset's generation: every transaction of anyone makes it another one. See `generationAfter`. */
export const generation = (): Request<number> =>
  get({
    operation: 'get ruleset generation',
    message: messages.getGeneration,
    parse: ([answer]) => (answer && generationAttributes.decode(attributesOf(answer)).id) ?? 0,
  })

/** The generation that a transaction makes of this one. */
export const generationAfter = (generation: number): number => (generation + 1) >>> 0 || 1

/** Whether this makes the generation another one, where it is carried out: what is created was not there. */
export const isAlwaysChange = (steps: readonly (Change | readonly Change[])[]): boolean =>
  steps.flat().some(({ flags }) => (flags & NLM_F_EXCL) !== 0)

const bracket = (operation: string, type: number, generation?: number): Change => ({
  operation,
  protocol: NETLINK_NETFILTER,
  type,
  flags: 0,
  isBracket: true,
  body: () => encodeNetfilter(0, beginAttributes.encode({ generation }), subsystem.nftables),
  parse: () => {},
})
