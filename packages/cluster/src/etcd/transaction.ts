/** What must hold for a transaction to do what it says; a `prefix` stands for all keys that begin with it. */
export type Compare =
  | { readonly key: string; readonly modRevision: number }
  | { readonly key: string; readonly lease: string | undefined }
  /** No key of the prefix was written since. Keys may be gone. */
  | { readonly prefix: string; readonly unchangedSince: number }

export type Operation =
  | { readonly put: string; readonly value: string; readonly lease?: string | undefined }
  | { readonly delete: string }
  | { readonly get: string }

export const encode = (text: string) => Buffer.from(text).toString('base64')

/** The end of the range of keys that begin with a prefix: the first one after them. */
export function encodeEnd(prefix: string): string {
  const end = Buffer.from(prefix)
  // No prefix here ends with a byte of 255.
  end.writeUInt8(end.readUInt8(end.length - 1) + 1, end.length - 1)
  return end.toString('base64')
}

export function encodeCompare(compare: Compare): object {
  if ('prefix' in compare) {
    const { prefix, unchangedSince } = compare
    return {
      key: encode(prefix),
      range_end: encodeEnd(prefix),
      target: 'MOD',
      result: 'LESS',
      mod_revision: unchangedSince + 1,
    }
  }
  const key = encode(compare.key)
  if ('lease' in compare) return { key, target: 'LEASE', result: 'EQUAL', lease: compare.lease ?? '0' }
  return { key, target: 'MOD', result: 'EQUAL', mod_revision: compare.modRevision }
}

export function encodeOperation(operation: Operation): object {
  if ('put' in operation) {
    const { put, value, lease = '0' } = operation
    return { request_put: { key: encode(put), value: encode(value), lease } }
  }
  if ('delete' in operation) return { request_delete_range: { key: encode(operation.delete) } }
  return { request_range: { key: encode(operation.get) } }
}
