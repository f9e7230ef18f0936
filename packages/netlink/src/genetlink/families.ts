import { errors } from '../errors.ts'
import type { Request } from '../socket/request.ts'
import { decodeAttributes } from '../wire/attributes.ts'
import { readText, readU16, readU32, text } from '../wire/bytes.ts'
import * as c from '../wire/constants.ts'
import { encodeGeneric, GENL_HDRLEN, genericRequest } from './request.ts'

/** A part of the kernel that is spoken to by generic netlink. Its number is given when it is loaded, and differs between machines. */
export interface GenericFamily {
  readonly name: string
  /** The type of its messages. */
  readonly id: number
  readonly version: number
}

const CTRL_VERSION = 1

/**
 * The family of that name, by CTRL_CMD_GETFAMILY. The kernel loads a module that offers it where there is one, which takes its time:
 * `run` it, don't `runSync`. Errors: `ENOENT` where neither kernel nor module has it.
 */
export function get(name: string): Request<GenericFamily> {
  if (name === '' || Buffer.byteLength(name) > 15 || name.includes('\0'))
    throw errors.ERR_NETLINK_ARGUMENT({
      what: 'family of generic netlink',
      value: name,
      expected: '1 to 15 bytes',
    })
  return genericRequest({
    operation: `find family ${name} of generic netlink`,
    type: c.GENL_ID_CTRL,
    flags: c.NLM_F_ACK,
    body: () => encodeGeneric(c.CTRL_CMD_GETFAMILY, CTRL_VERSION, [[c.CTRL_ATTR_FAMILY_NAME, text(name)]]),
    parse([message]) {
      const attributes = message && decodeAttributes(message.body, GENL_HDRLEN)
      const id = attributes?.get(c.CTRL_ATTR_FAMILY_ID)
      const version = attributes?.get(c.CTRL_ATTR_VERSION)
      const called = attributes?.get(c.CTRL_ATTR_FAMILY_NAME)
      if (!id || !version || !called)
        throw errors.ERR_NETLINK_MALFORMED({ what: 'an answer without a family of generic netlink' })
      return { name: readText(called), id: readU16(id), version: readU32(version) }
    },
  })
}
