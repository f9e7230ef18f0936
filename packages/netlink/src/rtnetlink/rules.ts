import { linkName } from '../socket/link-index.ts'
import type { Request } from '../socket/request.ts'
import { u32 } from '../wire/bytes.ts'
import * as c from '../wire/constants.ts'
import { AF_INET, AF_UNSPEC, encodePrefix, type Family, familyValue } from '../wire/ip.ts'
import { ADD, change, dump } from './request.ts'
import { encodeRoute } from './route.ts'
import { decodeRule, type Rule } from './rule.ts'

export interface NewRule {
  /** Taken from `from` or `to` where they are given; else `inet`. */
  family?: Family
  /** Lower ones come first; the kernel's choice by default. */
  priority?: number
  table: number
  /** With prefix length. */
  from?: string
  to?: string
  /** Names of links. */
  iif?: string
  oif?: string
  fwmark?: number
  fwmask?: number
  /** Ignore routes with a prefix of this length or less. */
  suppressPrefixLength?: number
  /** Hold for what the selectors don't match. */
  not?: boolean
}

/** Makes a rule. Errors: `EEXIST`. */
export function add(rule: NewRule): Request<void> {
  return change(`add rule for table ${rule.table}`, c.RTM_NEWRULE, ADD, () => encode(rule))
}

/** Deletes the first rule that agrees with all that is given. Errors: `ENOENT` when there is none. */
export function del(rule: NewRule): Request<void> {
  return change(`delete rule for table ${rule.table}`, c.RTM_DELRULE, 0, () => encode(rule))
}

/** The rules of both families or one. */
export function list({ family }: { family?: Family } = {}): Request<Rule[]> {
  return dump(
    'list rules',
    [c.RTM_GETRULE, c.RTM_NEWRULE],
    () => encodeRoute({ family: family ? familyValue(family) : AF_UNSPEC }),
    decodeRule,
    (rule) => !family || rule.family === family,
  )
}

function encode(rule: NewRule): Buffer {
  const { priority, table, iif, oif, fwmark, fwmask, suppressPrefixLength } = rule
  const from = rule.from === undefined ? undefined : encodePrefix(rule.from)
  const to = rule.to === undefined ? undefined : encodePrefix(rule.to)
  const family = rule.family ? familyValue(rule.family) : ((from ?? to)?.family ?? AF_INET)
  const header = {
    family,
    destinationLength: to?.length ?? 0,
    sourceLength: from?.length ?? 0,
    table: table < 256 ? table : 0,
    type: c.FR_ACT_TO_TBL,
    flags: rule.not ? c.FIB_RULE_INVERT : 0,
  }
  return encodeRoute(header, [
    [c.FRA_SRC, from?.bytes],
    [c.FRA_DST, to?.bytes],
    [c.FRA_PRIORITY, priority === undefined ? undefined : u32(priority)],
    [c.FRA_TABLE, u32(table)],
    [c.FRA_IIFNAME, iif === undefined ? undefined : linkName(iif)],
    [c.FRA_OIFNAME, oif === undefined ? undefined : linkName(oif)],
    [c.FRA_FWMARK, fwmark === undefined ? undefined : u32(fwmark)],
    [c.FRA_FWMASK, fwmask === undefined ? undefined : u32(fwmask)],
    [c.FRA_SUPPRESS_PREFIXLEN, suppressPrefixLength === undefined ? undefined : u32(suppressPrefixLength)],
  ])
}
