import { readFileSync } from 'node:fs'

// What the process itself has open, and what operations open meanwhile, are not for connections.
const reserved = 48
const most = 1_000
const least = 8

/** How many connections the process may take, by the limit of its open files. */
export function connectionLimit(): number {
  const [, soft = ''] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
  const files = Number(soft) || most * 2 // `unlimited`
  return Math.max(least, Math.min(most, Math.floor((files - reserved) / 2)))
}
