import { errors } from '../errors.ts'

/** What a table, chain, set, element or rule may carry for its owner. */
export interface Notes {
  /** What `nft list` shows as its comment: at most 127 bytes. */
  readonly comment?: string | undefined
  /** Bytes of one's own in place of a comment; nft reads them as a list of type, length and value. */
  readonly userData?: Uint8Array | undefined
}

/** The type that nft gives to comments: of a set 7, of all else 0. */
type CommentType = 0 | 7

export function encodeNotes({ comment, userData }: Notes, type: CommentType = 0): Uint8Array | undefined {
  if (comment === undefined) return userData
  const text = Buffer.from(`${comment}\0`)
  if (userData || text.length > 128 || text.indexOf(0) !== text.length - 1)
    throw errors.ERR_NETLINK_ARGUMENT({
      what: 'comment',
      value: comment,
      expected: 'at most 127 bytes without NUL, and no userData beside it',
    })
  return Buffer.concat([Buffer.of(type, text.length), text])
}

export function decodeNotes(userData: Uint8Array | undefined, type: CommentType = 0): Notes {
  if (!userData) return {}
  const comment = commentIn(Buffer.from(userData), type)
  return comment === undefined ? { userData } : { comment, userData }
}

// Whoever made the table may have written anything there.
function commentIn(bytes: Buffer, type: CommentType): string | undefined {
  for (let offset = 0; offset + 2 <= bytes.length; offset += 2 + bytes[offset + 1]!) {
    const end = offset + 2 + bytes[offset + 1]!
    if (bytes[offset] !== type || end > bytes.length || bytes[end - 1] !== 0) continue
    return bytes.toString('utf8', offset + 2, end - 1)
  }
  return undefined
}

const KEY_BYTE_ORDER = 0
const HOST_ENDIAN = 1

/** What nft needs to read keys that are in the machine's byte order, and not in the network's, before the comment. */
export function encodeSetNotes(notes: Notes, isHostEndian: boolean): Uint8Array | undefined {
  const own = encodeNotes(notes, 7)
  if (!isHostEndian || notes.userData) return own
  return Buffer.concat([Buffer.of(KEY_BYTE_ORDER, 4, HOST_ENDIAN, 0, 0, 0), own ?? Buffer.alloc(0)])
}
