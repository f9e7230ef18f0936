import { constants } from 'node:os'

// Several names share a number; these are the ones the kernel's sources use.
const preferred: Record<number, string> = {
  [constants.errno.EAGAIN]: 'EAGAIN',
  [constants.errno.EOPNOTSUPP]: 'EOPNOTSUPP',
  // A kernel-internal value that leaks out of rtnetlink for operations a driver lacks.
  524: 'ENOTSUPP',
  // Another: nf_tables says so of a transaction for a ruleset that changed meanwhile.
  85: 'ERESTART',
}

const names: Record<number, string> = {
  ...Object.fromEntries(Object.entries(constants.errno).map(([name, errno]) => [errno, name])),
  ...preferred,
}

/** `17` → `EEXIST`; a number without a name is `E<number>`. */
export function errnoName(errno: number): string {
  return names[errno] ?? `E${errno}`
}
