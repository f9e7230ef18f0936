import type { Request } from '../socket/request.ts'
import { type Attribute, encodeAttributes } from '../wire/attributes.ts'
import { NETLINK_GENERIC } from '../wire/constants.ts'

/** struct genlmsghdr and the attributes after it: linux/genetlink.h. */
export const encodeGeneric = (
  command: number,
  version: number,
  attributes: readonly Attribute[] = [],
): Buffer => encodeAttributes(attributes, Buffer.of(command, version, 0, 0))

/** Where the attributes of a message begin. */
export const GENL_HDRLEN = 4

/** A request for a socket of `openNetlink({ protocol: NETLINK_GENERIC })`. */
export const genericRequest = <T>(request: Omit<Request<T>, 'protocol'>): Request<T> => ({
  ...request,
  protocol: NETLINK_GENERIC,
})
