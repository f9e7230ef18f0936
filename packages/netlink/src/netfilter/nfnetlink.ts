import type { Request } from '../socket/request.ts'
import { type Attribute, encodeAttributes } from '../wire/attributes.ts'
import { NETLINK_NETFILTER } from '../wire/constants.ts'
import type { Message } from '../wire/message.ts'

/** The parts of netfilter: linux/netfilter/nfnetlink.h. */
export const subsystem = { conntrack: 1, log: 4, nftables: 10 } as const

/** struct nfgenmsg and the attributes after it. */
export const encodeNetfilter = (
  family: number,
  attributes: readonly Attribute[] = [],
  resource = 0,
): Buffer => encodeAttributes(attributes, Buffer.of(family, 0, resource >> 8, resource & 0xff))

/** What a request of netfilter consists of. */
export interface NetfilterRequest<T> {
  readonly operation: string
  readonly subsystem: keyof typeof subsystem
  /** The message's number in its subsystem. */
  readonly message: number
  readonly flags: number
  body(): Uint8Array
  parse(messages: Message[]): T
}

/** A request for a socket of `openNetlink({ protocol: NETLINK_NETFILTER })`. */
export const netfilterRequest = <T>({
  subsystem: name,
  message,
  ...rest
}: NetfilterRequest<T>): Request<T> => ({
  ...rest,
  protocol: NETLINK_NETFILTER,
  type: (subsystem[name] << 8) | message,
})
