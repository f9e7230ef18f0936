import type { Direction } from './compile.ts'

/** What the kernel says of a packet that it denied: of which pod's link, and on which side. */
export const logPrefix = (direction: Direction, link: string) => `${direction} ${link}`

/** Undefined for what other rules log. */
export function parseLogPrefix(prefix: string): { direction: Direction; link: string } | undefined {
  const [, direction, link] = /^(egress|ingress) (\S+)$/.exec(prefix) ?? []
  return link ? { direction: direction as Direction, link } : undefined // one of the two, as the expression says
}
