import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  API_VERSION,
  Capability,
  type CapabilityName,
  capabilitySet,
  pluginNameOfPackage,
  qualifiedNameProblems,
} from '@podwire/api'
import * as z from 'zod/mini'
import { firstIssue } from '../zod-issue.ts'

/** The keys of a package.json by which Node finds what to import. */
export interface PackageEntry {
  readonly name: string
  readonly exports?: unknown
}

/** A plugin package as its package.json describes it; nothing of it has run. */
export interface PluginPackage {
  readonly packageName: string
  readonly version: string
  /** Its real directory. */
  readonly dir: string
  /** Its conventional name, which keys its options in the configuration: `exec`, `acme.io/mysdn`. */
  readonly key: string
  /** The network plugins it offers; `dynamic`: only its probe knows. */
  readonly plugins: readonly string[] | 'dynamic'
  /** What its plugins can do, where the manifest says so. */
  readonly capabilities?: number
  /** What its package.json says of the file to import. */
  readonly entry: PackageEntry
}

// What every package.json has; the manifest is checked apart, so that its errors speak of it.
const packageJson = z.object({
  name: z.string(),
  version: z._default(z.string(), '0.0.0'),
  exports: z.optional(z.unknown()),
  podwire: z.optional(z.unknown()),
})

const capabilityNames = Object.keys(Capability) as [CapabilityName, ...CapabilityName[]]

const anyVersion = z.object({ apiVersion: z.number() })

const manifest = z.strictObject({
  apiVersion: z.number(),
  plugins: z.optional(z.union([z.array(z.string()), z.literal('dynamic')])),
  capabilities: z.optional(z.array(z.enum(capabilityNames))),
})

/** Reads a plugin package in its real directory; a string says why it isn't one. Throws node:fs's errors. */
export async function readPluginPackage(dir: string): Promise<PluginPackage | string> {
  return parsePluginPackage(await readFile(join(dir, 'package.json'), 'utf8'), dir)
}

/** The same from the text of a package.json, which may not be in `dir` yet. */
export function parsePluginPackage(text: string, dir: string): PluginPackage | string {
  const json = parseJson(text)
  if (json === undefined) return 'its package.json is not JSON'
  const described = packageJson.safeParse(json, { reportInput: true })
  if (!described.success) return `its package.json: ${firstIssue(described.error, 'it')}`
  const { name, version, exports, podwire } = described.data
  if (podwire === undefined) return 'its package.json has no "podwire" key: write {"apiVersion": 1}'
  // First of all: a manifest of another version may have another shape.
  const versioned = anyVersion.safeParse(podwire)
  if (versioned.success && versioned.data.apiVersion !== API_VERSION) {
    return `its apiVersion is ${versioned.data.apiVersion}, and this host knows ${API_VERSION}: install a version of it for this host`
  }
  const stated = manifest.safeParse(podwire, { reportInput: true })
  if (!stated.success) return `its "podwire" key: ${firstIssue(stated.error, 'it')}`
  const { plugins, capabilities } = stated.data
  const conventional = pluginNameOfPackage(name)
  const offered = plugins ?? (conventional === undefined ? undefined : [conventional])
  if (offered === undefined)
    return `its name ${name} doesn't say which plugin it is: list them in "podwire": {"plugins": […]}`
  const problem = problemOf(offered, name, conventional)
  if (problem) return problem
  return {
    packageName: name,
    version,
    dir,
    key: conventional ?? name,
    plugins: offered,
    entry: { name, ...(exports === undefined ? {} : { exports }) },
    ...(capabilities ? { capabilities: capabilitySet(...capabilities) } : {}),
  }
}

function problemOf(
  offered: readonly string[] | 'dynamic',
  packageName: string,
  conventional: string | undefined,
): string | undefined {
  if (offered === 'dynamic') return undefined
  if (offered.length === 0) return 'its manifest lists no plugin: name one, or leave "plugins" out'
  for (const name of offered) {
    const problems = qualifiedNameProblems(name)
    if (problems.length > 0) return `its plugin name "${name}" is invalid: ${problems.join('; ')}`
  }
  // First-party names say what the package is about, not what its plugins are called.
  const mustAgree = conventional !== undefined && !packageName.startsWith('@podwire/')
  if (!mustAgree || offered.includes(conventional)) return undefined
  return `its name says "${conventional}" and its manifest says "${offered.join('", "')}": make the two agree`
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
