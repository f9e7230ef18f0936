import { readFileSync } from 'node:fs'

const CAP_NET_ADMIN = 12n
const CAP_SYS_ADMIN = 21n

/** What to do without them. */
export const PRIVILEGES_NEEDED =
  'Networks need CAP_NET_ADMIN and CAP_SYS_ADMIN. Be root, or root of namespaces of your own: ' +
  'unshare -rnm, then mount -t tmpfs tmpfs /run'

/** Whether this process may make networks and namespaces. */
export function isPrivileged(): boolean {
  const [, text = '0'] = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
  const effective = BigInt(`0x${text}`)
  return [CAP_NET_ADMIN, CAP_SYS_ADMIN].every((bit) => ((effective >> bit) & 1n) === 1n)
}
