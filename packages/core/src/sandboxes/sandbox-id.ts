import { hash } from 'node:crypto'

const pattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/

/** Whether a text may be the id of a sandbox: 1–128 letters, digits, `_`, `.` or `-`, a letter or digit first. */
export function isSandboxId(text: string): boolean {
  return pattern.test(text)
}

/**
 * The id of a pod's sandbox where nobody gave one: readable, a valid CNI container ID, and the same for the same pod,
 * so that what a crash left is found by it. 128 bits of a hash keep any two pods apart.
 */
export function defaultSandboxId(pod: { readonly namespace: string; readonly name: string }): string {
  const digest = hash('sha256', `${pod.namespace}/${pod.name}`).slice(0, 32)
  return `${`${pod.namespace}-${pod.name}`.slice(0, 48)}-${digest}`
}
