import { decodeAttributes, optional, present } from '../wire/attributes.ts'
import { readI32, readText, readU8, readU32, slice } from '../wire/bytes.ts'
import * as c from '../wire/constants.ts'
import { decodeIp, type Family, familyName } from '../wire/ip.ts'
import type { Message } from '../wire/message.ts'

/** A rule that says which table to look for a route in. What doesn't apply is absent. */
export interface Rule {
  family: Family
  /** Lower ones come first. */
  priority: number
  /** The table to look in; absent for rules that do something else. */
  table?: number
  /** With prefix length. */
  from?: string
  to?: string
  /** Names of links. */
  iif?: string
  oif?: string
  fwmark?: number
  fwmask?: number
  /** Routes with a prefix of this length or less don't count. */
  suppressPrefixLength?: number
  /** The rule holds for what the selectors don't match. */
  not: boolean
}

export function decodeRule({ body }: Message): Rule {
  slice(body, 0, 12)
  const attributes = decodeAttributes(body, 12)
  const read = <T>(type: number, reader: (bytes: Buffer) => T) => optional(attributes, type, reader)
  const prefix = (type: number, length: number) => {
    const address = read(type, decodeIp)
    return address === undefined ? undefined : `${address}/${length}`
  }
  const table = read(c.FRA_TABLE, readU32) ?? readU8(body, 4)
  const suppressed = read(c.FRA_SUPPRESS_PREFIXLEN, readI32)
  return present({
    family: familyName(readU8(body)),
    priority: read(c.FRA_PRIORITY, readU32) ?? 0,
    table: readU8(body, 7) === c.FR_ACT_TO_TBL ? table : undefined,
    from: prefix(c.FRA_SRC, readU8(body, 2)),
    to: prefix(c.FRA_DST, readU8(body, 1)),
    iif: read(c.FRA_IIFNAME, readText),
    oif: read(c.FRA_OIFNAME, readText),
    fwmark: read(c.FRA_FWMARK, readU32),
    fwmask: read(c.FRA_FWMASK, readU32),
    suppressPrefixLength: suppressed === -1 ? undefined : suppressed,
    not: (readU32(body, 8) & c.FIB_RULE_INVERT) !== 0,
  })
}
