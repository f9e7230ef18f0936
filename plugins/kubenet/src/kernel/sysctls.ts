import { messageOf } from '@podwire/api'
import { readSysctl, writeSysctl } from '@podwire/netlink'
import { errors } from '../errors.ts'

/** A path below /proc/sys, with the value to have. */
export type Sysctl = readonly [path: string, value: string]

/** Those that have another value, each in a phrase; what can't be read is not ours to tell of. */
export function sysctlDifferences(wanted: readonly Sysctl[]): string[] {
  return wanted.flatMap(([path, value]) => {
    try {
      const found = readSysctl(path)
      return found === value ? [] : [`${path.replaceAll('/', '.')} is ${found}, not ${value}`]
    } catch {
      return []
    }
  })
}

/** Sets those that have another value: what was changed, and what could not be, each in a phrase. */
export function ensureSysctls(wanted: readonly Sysctl[]): { repaired: string[]; refused: string[] } {
  const repaired: string[] = []
  const refused: string[] = []
  for (const [path, value] of wanted) {
    try {
      if (readSysctl(path) === value) continue
      writeSysctl(path, value)
      repaired.push(`${path.replaceAll('/', '.')} = ${value}`)
    } catch (cause) {
      // Read-only, or another user namespace's.
      refused.push(messageOf(errors.SYSCTL_REFUSED({ path, wanted: value }, cause)))
    }
  }
  return { repaired, refused }
}
