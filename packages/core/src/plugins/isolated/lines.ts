const newline = 10

/**
 * Cuts what a stream brings into lines. Of a line longer than `limit` bytes only its beginning is passed on, at once, and
 * never more than that is kept.
 */
export function createLineReader(limit: number, onLine: (line: string, isCut: boolean) => void) {
  let parts: Buffer[] = []
  let size = 0
  let isSkipping = false

  const pass = (isCut: boolean) => {
    const line = Buffer.concat(parts).toString()
    parts = []
    size = 0
    onLine(line, isCut)
  }
  const keep = (piece: Buffer) => {
    parts.push(piece.subarray(0, limit - size))
    size += piece.length
    if (size <= limit) return
    isSkipping = true
    pass(true)
  }

  return (chunk: Buffer): void => {
    for (let start = 0; start <= chunk.length; ) {
      const end = chunk.indexOf(newline, start)
      if (!isSkipping) keep(chunk.subarray(start, end === -1 ? undefined : end))
      if (end === -1) return
      if (!isSkipping) pass(false)
      isSkipping = false
      start = end + 1
    }
  }
}
