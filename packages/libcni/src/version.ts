import { errors } from './errors.ts'

/** The spec versions this library speaks, oldest first. */
export const cniVersions = ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const
export type CniVersion = (typeof cniVersions)[number]

export const currentVersion = '1.1.0' satisfies CniVersion

export function isKnownVersion(version: string): version is CniVersion {
  return (cniVersions as readonly string[]).includes(version)
}

/**
 * Major, minor and micro; parts left out are 0, and no version at all is 0.1.0, as the spec has it.
 * @throws CniError `ERR_CNI_VERSION`
 */
export function parseVersion(version: string): readonly [number, number, number] {
  if (version === '') return [0, 1, 0]
  const match = /^(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?$/.exec(version)
  if (!match) throw errors.ERR_CNI_VERSION({ version })
  return [Number(match[1]), Number(match[2] ?? 0), Number(match[3] ?? 0)]
}

/** Negative where `a` is older than `b`. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [parseVersion(a), parseVersion(b)]
  return left[0] - right[0] || left[1] - right[1] || left[2] - right[2]
}

export const atLeast = (version: string, minimum: CniVersion): boolean =>
  compareVersions(version, minimum) >= 0
