import { isIP } from 'node:net'

/** An address with a prefix length, as it was written: bits after the prefix may be set. */
export interface CIDR {
  readonly address: string
  readonly family: 4 | 6
  /** In bits: 0–32 or 0–128. */
  readonly prefixLength: number
}

/** Parses `10.88.0.0/16` or `fd00:88::/64`; undefined for anything else, an address with a zone among it. */
export function parseCIDR(text: string): CIDR | undefined {
  const [address = '', length = '', ...rest] = text.split('/')
  const family = isIP(address)
  const isLength = /^(?:0|[1-9]\d{0,2})$/.test(length) && Number(length) <= (family === 4 ? 32 : 128)
  if (rest.length > 0 || !isLength || address.includes('%')) return undefined
  if (family !== 4 && family !== 6) return undefined
  return { address, family, prefixLength: Number(length) }
}

/** Parses a pod CIDR: one CIDR, or one of each family separated by a comma; undefined for anything else. */
export function parsePodCIDR(text: string): readonly CIDR[] | undefined {
  const parsed = text.split(',').map((part) => parseCIDR(part.trim()))
  const cidrs = parsed.filter((cidr) => cidr !== undefined)
  const families = new Set(cidrs.map(({ family }) => family))
  return cidrs.length === parsed.length && families.size === cidrs.length ? cidrs : undefined
}
