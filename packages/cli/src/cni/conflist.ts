import { readFileSync } from 'node:fs'
import { errnoOf } from '@podwire/api'
import { errors } from '../errors.ts'
import { PLUGIN_TYPE } from './places.ts'

/** What a file says that this command may write over, and take away. */
const MARK = 'podwire.dev/installed'

/** Old runtimes know the first alone, and newer ones take the newest of all. */
const ownVersions = ['1.0.0', '1.1.0'] as const

/** Plugins that may stand behind this one, with what they do in its place. */
const chained: Readonly<Record<string, readonly string[]>> = {
  portmap: ['portMappings'],
  bandwidth: ['bandwidth'],
  firewall: [],
  tuning: [],
  sbr: [],
}
export const chainable: readonly string[] = Object.keys(chained)

const ownCapabilities = ['portMappings', 'bandwidth', 'dns', 'ips', 'mac', 'ipRanges'] as const

/**
 * The versions of a network's configuration, the oldest first: those that all plugins behind ours speak too.
 * @param spoken by each of them; empty where there is none
 */
export function versionsOf(spoken: readonly (readonly string[])[]): readonly string[] {
  const both = ownVersions.filter((version) => spoken.every((versions) => versions.includes(version)))
  // One of before 1.0.0: what it speaks is in the order of the versions.
  const older = spoken[0]?.findLast((version) => spoken.every((versions) => versions.includes(version)))
  return both.length > 0 || older === undefined ? both : [older]
}

/** The configuration of a network whose first plugin is this one. */
export function conflistOf(name: string, chain: readonly string[], cniVersions: readonly string[]): string {
  const taken = new Set(chain.flatMap((type) => chained[type] ?? []))
  const own = ownCapabilities.filter((capability) => !taken.has(capability))
  const plugins = [
    { type: PLUGIN_TYPE, capabilities: declared(own) },
    ...chain.map((type) => {
      const capabilities = declared(chained[type] ?? [])
      return { type, ...(Object.keys(capabilities).length > 0 ? { capabilities } : {}) }
    }),
  ]
  const list = { cniVersion: cniVersions[0], cniVersions, name, [MARK]: true, plugins }
  return `${JSON.stringify(list, null, 2)}\n`
}

const declared = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, true]))

/** Whose a configuration is; undefined where there is none. */
export function ownerOfConflist(file: string): 'ours' | 'other' | undefined {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw errors.CNI_FILE({ file, what: 'read' }, error)
  }
  try {
    const parsed: unknown = JSON.parse(text)
    return typeof parsed === 'object' && parsed !== null && MARK in parsed ? 'ours' : 'other'
  } catch {
    return 'other'
  }
}
