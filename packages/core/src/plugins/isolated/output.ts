import type { Readable } from 'node:stream'
import { type Logger, printable } from '@podwire/api'
import { createAllowance } from './allowance.ts'
import { createLineReader } from './lines.ts'

const maxLineBytes = 4096
// Some hundred lines a second. A line costs more than its bytes.
const bytesPerSecond = 256 * 1024
const lineCost = 512

/** Writes what a plugin's process prints to the log, line by line, under the plugin's name. Returns what ends the holding back. */
export function logOutput(
  stream: Readable,
  level: 'info' | 'warn',
  { name, log }: { name(): string; readonly log: Logger },
): () => void {
  const allowance = createAllowance(stream, bytesPerSecond)
  const read = createLineReader(maxLineBytes, (line, isCut) => {
    if (line.trim() === '') return
    allowance.spend(lineCost)
    log[level](`${name()}: ${printable(line)}${isCut ? ' …' : ''}`)
  })
  stream.on('data', (chunk: Buffer) => {
    allowance.spend(chunk.length)
    read(chunk)
  })
  stream.on('end', () => read(Buffer.from('\n')))
  stream.on('error', () => {})
  return () => allowance.end()
}
