/** The versions of the spec that the kit knows, ascending. */
export const cniVersions = ['0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const

/** A version of the CNI spec. */
export type CniVersion = (typeof cniVersions)[number]

/** Whether `text` is a version that the kit knows. */
export function isCniVersion(text: unknown): text is CniVersion {
  return (cniVersions as readonly unknown[]).includes(text)
}

/** Whether `version` is `since` or later. */
export function atLeast(version: CniVersion, since: CniVersion): boolean {
  return cniVersions.indexOf(version) >= cniVersions.indexOf(since)
}
