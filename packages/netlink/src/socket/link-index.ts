import { errors } from '../errors.ts'
import { encodeAttributes } from '../wire/attributes.ts'
import { readI32, text, u32 } from '../wire/bytes.ts'
import * as c from '../wire/constants.ts'
import type { Request } from './request.ts'

/** The index of the link of that name. Errors: `ENODEV`. */
export function linkIndex(name: string): Request<number> {
  return {
    operation: `find link ${name}`,
    protocol: c.NETLINK_ROUTE,
    type: c.RTM_GETLINK,
    flags: c.NLM_F_ACK,
    body: () => Buffer.concat([Buffer.alloc(16), byName(name)]),
    parse([message]) {
      if (!message) throw errors.ERR_NETLINK_MALFORMED({ what: 'an answer without a link' })
      return readI32(message.body, 4)
    },
  }
}

const byName = (name: string) =>
  encodeAttributes([
    [c.IFLA_IFNAME, linkName(name)],
    [c.IFLA_EXT_MASK, u32(c.RTEXT_FILTER_SKIP_STATS)],
  ])

/** Encodes a link's name. Errors: `ERR_NETLINK_ARGUMENT` for one the kernel would never take. */
export function linkName(name: string): Buffer {
  if (name === '' || name === '.' || name === '..' || /[/:\s\0]/.test(name) || Buffer.byteLength(name) > 15)
    throw errors.ERR_NETLINK_ARGUMENT({
      what: 'link name',
      value: name,
      expected: '1 to 15 bytes without "/", ":" or space',
    })
  return text(name)
}
