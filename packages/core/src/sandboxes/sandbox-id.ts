import { createHash } from 'node:crypto'

/**
 * The id of a pod's sandbox where nobody gave one: readable, a valid CNI container ID, and the same for the same pod,
 * so that what a crash left is found by it.
 */
export function defaultSandboxId({
  namespace,
  name,
}: {
  readonly namespace: string
  readonly name: string
}): string {
  const hash = createHash('sha256').update(`${namespace}/${name}`).digest('hex').slice(0, 8)
  return `${namespace}-${name}`.slice(0, 48).concat('-', hash)
}
