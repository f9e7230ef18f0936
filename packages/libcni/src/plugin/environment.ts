import { delimiter } from 'node:path'
import { CniCode, pluginError } from '../errors.ts'

/** Variables of a process. */
export type CniEnvironment = Readonly<Record<string, string | undefined>>

/** The CNI variables of a plugin's environment; empty where they aren't set. */
export interface PluginEnvironment {
  readonly command: string
  readonly containerId: string
  readonly netns: string
  readonly ifName: string
  readonly args: string
  readonly path: readonly string[]
  /** The caller knows that the target is the plugin's own network namespace. */
  readonly netnsOverride: boolean
}

const required: Record<string, readonly string[]> = {
  ADD: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_PATH'],
  CHECK: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_PATH'],
  DEL: ['CNI_CONTAINERID', 'CNI_IFNAME', 'CNI_PATH'],
  GC: ['CNI_PATH'],
  STATUS: ['CNI_PATH'],
}

/** Reads the environment; everything that is missing is named at once. */
export function readEnvironment(env: CniEnvironment): PluginEnvironment {
  const command = env['CNI_COMMAND'] ?? ''
  const wanted = Object.hasOwn(required, command) ? required[command]! : []
  const missing = ['CNI_COMMAND', ...wanted].filter((name) => !env[name])
  if (missing.length > 0)
    throw pluginError(CniCode.invalidEnvironment, `required env variables [${missing.join(',')}] missing`)
  return {
    command,
    containerId: env['CNI_CONTAINERID'] ?? '',
    netns: env['CNI_NETNS'] ?? '',
    ifName: env['CNI_IFNAME'] ?? '',
    args: env['CNI_ARGS'] ?? '',
    path: (env['CNI_PATH'] ?? '').split(delimiter).filter((directory) => directory !== ''),
    netnsOverride: /^(1|true)$/i.test(env['CNI_NETNS_OVERRIDE'] ?? ''),
  }
}
