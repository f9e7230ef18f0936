import type { Netns } from '../namespaces.ts'
import type { Message } from '../wire/message.ts'

/**
 * One thing to ask of the kernel, typed by its answer. Requests are plain values without state: make them with
 * `links.add(…)` and the like, and give them to a `Netlink`, once or many times, one by one or as a batch.
 */
export interface Request<T> {
  /** In words, for errors: `add link veth0`. */
  readonly operation: string
  /** NETLINK_ROUTE, NETLINK_NETFILTER … */
  readonly protocol: number
  /** The message's type, such as RTM_NEWLINK. */
  readonly type: number
  /** NLM_F_… without NLM_F_REQUEST. A request that has neither NLM_F_ACK nor NLM_F_DUMP gets no answer. */
  readonly flags: number
  /** Begins or ends a transaction: it has no answer, and where it is refused that is told before any answer to what stands between. */
  readonly isBracket?: true
  /** What follows the netlink header. */
  body(scope: Scope): Uint8Array
  /** Makes the result of the messages the kernel answered with (acknowledgements aside). */
  parse(messages: Message[], scope: Lookup): T
}

/** What a request may look up. */
export interface Lookup {
  /** The index of a link given by name or index. Errors: `ENODEV`. */
  index(link: LinkRef): number
}

/** What a request may look up while it is encoded. */
export interface Scope extends Lookup {
  /** A descriptor of a namespace, open until the request was sent. Errors: `ENOENT`, `ERR_NOT_NETNS`. */
  netnsFd(netns: Netns): number
}

/** A link by name or by index. */
export type LinkRef = string | number
