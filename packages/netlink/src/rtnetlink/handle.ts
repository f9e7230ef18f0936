import { errors } from '../errors.ts'
import { encodeHandle } from './traffic-control.ts'

/** `1:10`, `1:`, `root`, `ingress`, `clsact`. */
export type Handle = string

/** Encodes a handle. Errors: `ERR_NETLINK_ARGUMENT`. */
export function handleValue(handle: Handle): number {
  const value = encodeHandle(handle)
  if (value === undefined)
    throw errors.ERR_NETLINK_ARGUMENT({
      what: 'traffic control handle',
      value: handle,
      expected: 'MAJOR:MINOR in hex, root, ingress or clsact',
    })
  return value
}

/** A number the kernel takes, whole and above zero. Errors: `ERR_NETLINK_ARGUMENT`. */
export function positive(what: string, value: number): number {
  if (!Number.isSafeInteger(value) || value <= 0)
    throw errors.ERR_NETLINK_ARGUMENT({ what, value, expected: 'a whole number above 0' })
  return value
}
