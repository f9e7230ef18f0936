import { errors } from '../errors.ts'

/** Bytes of a key, whatever it is for. */
const WG_KEY_LEN = 32

// 32 bytes in base64: of the last character before the padding only four bits count.
const spelling = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/

/** Whether the text is a key as `wg` writes one: 32 bytes in base64, in the one spelling that those bytes have. */
export const isWireguardKey = (text: string): boolean => spelling.test(text)

/** @param what in words, for errors, which never show the key: it may be a secret */
export function encodeKey(key: string, what: string): Buffer {
  if (!isWireguardKey(key))
    throw errors.ERR_NETLINK_ARGUMENT({
      what,
      value: `text of ${key.length} characters`,
      expected: `${WG_KEY_LEN} bytes in base64`,
    })
  return Buffer.from(key, 'base64')
}

export function decodeKey(bytes: Buffer): string {
  if (bytes.length !== WG_KEY_LEN)
    throw errors.ERR_NETLINK_MALFORMED({ what: `WireGuard key of ${bytes.length} bytes` })
  return bytes.toString('base64')
}

/** What the kernel says where there is none. */
export const isNoKey = (bytes: Buffer) => bytes.every((byte) => byte === 0)

/** What takes a key away. */
export const noKey = (): Buffer => Buffer.alloc(WG_KEY_LEN)
