import { isIP } from 'node:net'

/** Whether `text` is an address with a prefix length: `10.88.0.0/16`, `fd00:88::/64`. */
export function isCIDR(text: string): boolean {
  const [address = '', length = '', ...rest] = text.split('/')
  const family = isIP(address)
  return (
    rest.length === 0 &&
    family !== 0 &&
    /^\d{1,3}$/.test(length) &&
    Number(length) <= (family === 4 ? 32 : 128)
  )
}

/** Whether `text` is a CIDR, or one of each family separated by a comma. */
export function isPodCIDR(text: string): boolean {
  const parts = text.split(',').map((part) => part.trim())
  const families = new Set(parts.map((part) => isIP(part.split('/')[0] ?? '')))
  return parts.every(isCIDR) && families.size === parts.length
}
