import { messageOf } from '@podwire/api'
import { badConfig } from '../errors.ts'
import { isArray, type JsonObject, kindOf, readKey } from '../json.ts'
import { compareVersions, currentVersion, isKnownVersion, parseVersion } from '../version.ts'

/**
 * The version to run a configuration with: the highest of `cniVersions` and `cniVersion` that this library speaks. A
 * `cniVersion` with nothing beside it stays as it is, however new: the plugins decide.
 */
export function negotiateVersion(raw: JsonObject, source: string): string {
  const version = versionOf(readKey(raw, 'cniVersion'), 'cniVersion', source)
  const list = readKey(raw, 'cniVersions')
  if (list !== undefined && !isArray(list))
    throw badConfig(source, `invalid type for cniVersions: ${kindOf(list)}`)
  const offered = (list ?? []).map((entry, index) =>
    versionOf(entry ?? undefined, `cniVersions entry ${index}`, source),
  )
  const known = [...offered, version]
    .filter((candidate) => candidate !== undefined)
    .filter((candidate) => compareVersions(candidate, currentVersion) <= 0 && isKnownVersion(candidate))
  return known.sort(compareVersions).at(-1) ?? version ?? offered[0] ?? '0.1.0'
}

function versionOf(
  value: Exclude<JsonObject[string], null>,
  what: string,
  source: string,
): string | undefined {
  if (value === undefined || value === '') return undefined
  if (typeof value !== 'string') throw badConfig(source, `invalid ${what} type: ${kindOf(value)}`)
  try {
    parseVersion(value)
  } catch (cause) {
    throw badConfig(source, `invalid ${what}: ${messageOf(cause)}`, cause)
  }
  return value
}
