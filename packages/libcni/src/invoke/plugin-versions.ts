import { badResult, isCniError } from '../errors.ts'
import { isArray, parseJsonObject, readKey } from '../json.ts'
import { currentVersion } from '../version.ts'
import { callPlugin } from './call-plugin.ts'
import type { Deadline } from './deadline.ts'
import { pluginEnvironment } from './environment.ts'

/** Which spec versions a plugin speaks. */
export interface PluginVersions {
  /** The version of the answer. */
  readonly cniVersion: string
  readonly supportedVersions: readonly string[]
}

/** Asks a plugin for its versions; one from before the VERSION command speaks 0.1.0. */
export async function askVersions(plugin: string, path: string, deadline: Deadline): Promise<PluginVersions> {
  // Plugins built on old skeletons want these even for VERSION.
  const dummies = { CNI_NETNS: 'dummy', CNI_IFNAME: 'dummy', CNI_PATH: 'dummy' }
  const env = { ...pluginEnvironment('VERSION', []), ...dummies }
  const config = { cniVersion: currentVersion }
  try {
    const answer = await callPlugin({ command: 'VERSION', plugin, path, config, env, deadline })
    try {
      return readVersions(answer.stdout)
    } catch (error) {
      throw isCniError(error) ? answer.reject(error) : error
    }
  } catch (error) {
    if (isCniError(error) && error.details['pluginMessage'] === 'unknown CNI_COMMAND: VERSION')
      return { cniVersion: '0.1.0', supportedVersions: ['0.1.0'] }
    throw error
  }
}

function readVersions(stdout: string): PluginVersions {
  const object = parseJsonObject(stdout, 'decoding version info')
  const cniVersion = readKey(object, 'cniVersion')
  if (typeof cniVersion !== 'string' || cniVersion === '')
    throw badResult('decoding version info: missing field cniVersion')
  const supported = readKey(object, 'supportedVersions') ?? []
  if (!isArray(supported) || !supported.every((version) => typeof version === 'string'))
    throw badResult('decoding version info: supportedVersions is not a list of strings')
  if (supported.length > 0) return { cniVersion, supportedVersions: supported }
  if (cniVersion === '0.2.0') return { cniVersion, supportedVersions: ['0.1.0', '0.2.0'] }
  throw badResult('decoding version info: missing field supportedVersions')
}
