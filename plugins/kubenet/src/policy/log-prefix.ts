import type { Direction } from './compile.ts'

/** What the kernel says of a packet that it denied: on which side of a pod. Which pod that is, the packet's own address says. */
export const logPrefix = (direction: Direction) => `podwire ${direction}`

/** Undefined for what other rules log. */
export function parseLogPrefix(prefix: string): Direction | undefined {
  const [, direction] = /^podwire (egress|ingress)$/.exec(prefix) ?? []
  return direction as Direction | undefined // one of the two, as the expression says
}
