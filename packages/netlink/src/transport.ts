/**
 * What other netlink protocols are built on: requests of one's own for `openNetlink`, and the attribute codec.
 */

export { type Netlink, type NetlinkOptions, openNetlink } from './socket/netlink.ts'
export type { LinkRef, Lookup, Request, Scope } from './socket/request.ts'
export {
  type Attribute,
  type Attributes,
  decodeAttributes,
  encodeAttributes,
  listAttributes,
  nested,
  optional,
} from './wire/attributes.ts'
export * from './wire/bytes.ts'
export {
  NETLINK_GENERIC,
  NETLINK_NETFILTER,
  NETLINK_ROUTE,
  NLM_F_ACK,
  NLM_F_APPEND,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_ECHO,
  NLM_F_EXCL,
  NLM_F_REPLACE,
} from './wire/constants.ts'
export { decodeIp, encodeIp, encodePrefix, familyOf, type Prefix } from './wire/ip.ts'
export type { Message } from './wire/message.ts'
