/**
 * What other netlink protocols are built on: requests of one's own for `openNetlink`, and the attribute codec.
 */
export {
  type Attribute,
  type Attributes,
  decodeAttributes,
  encodeAttributes,
  listAttributes,
  nested,
  optional,
} from './codec/attributes.ts'
export * from './codec/bytes.ts'
export * from './codec/constants.ts'
export { decodeIp, encodeIp, encodePrefix, familyOf, type Prefix } from './codec/ip.ts'
export type { Message } from './codec/message.ts'
export { type Netlink, type NetlinkOptions, openNetlink } from './netlink.ts'
export type { LinkRef, Request, Scope } from './request.ts'
