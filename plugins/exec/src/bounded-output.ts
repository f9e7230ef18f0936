/** Keeps the beginning and the end of a stream, so that what prints without end fills no memory. */
export interface BoundedOutput {
  push(chunk: Buffer): void
  /** What was kept, with a line in the gap that says how much is missing. */
  text(): string
}

/** @param limit bytes kept of the beginning, and as many of the end */
export function boundedOutput(limit = 64 * 1024): BoundedOutput {
  const head: Buffer[] = []
  let headBytes = 0
  let tail: Buffer[] = []
  let tailBytes = 0
  let total = 0

  return {
    push: (chunk) => {
      total += chunk.length
      const fits = chunk.subarray(0, limit - headBytes)
      if (fits.length > 0) {
        head.push(fits)
        headBytes += fits.length
      }
      const rest = chunk.subarray(fits.length)
      if (rest.length === 0) return
      tail.push(rest)
      tailBytes += rest.length
      // Joined now and then, not at every chunk.
      if (tailBytes > 4 * limit) {
        tail = [Buffer.from(Buffer.concat(tail).subarray(-limit))]
        tailBytes = limit
      }
    },
    text: () => {
      const end = Buffer.concat(tail).subarray(-limit)
      const dropped = total - headBytes - end.length
      const gap = dropped > 0 ? `\n… ${dropped} bytes left out …\n` : ''
      return Buffer.concat(head).toString() + gap + end.toString()
    },
  }
}
