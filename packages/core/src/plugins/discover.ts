import { sep } from 'node:path'
import { messageOf, pluginNameOfPackage } from '@podwire/api'
import { type Candidate, type DiscoveryPlaces, findCandidates } from './candidates.ts'
import { type PluginPackage, readPluginPackage } from './manifest.ts'

/** A candidate that can't be used, and why. */
export interface RejectedPackage {
  readonly path: string
  /** Where package.json says it. */
  readonly packageName?: string
  readonly version?: string
  /** What it would have offered. */
  readonly plugins?: readonly string[]
  readonly reason: string
}

/** What a search found: every candidate is in one of the two lists. */
export interface Discovery {
  readonly packages: readonly PluginPackage[]
  readonly rejected: readonly RejectedPackage[]
}

/** Searches for plugin packages and reads their manifests. Runs none of their code. */
export async function discoverPlugins(places: DiscoveryPlaces): Promise<Discovery> {
  const candidates = distinct(await findCandidates(places))
  const examined = await Promise.all(candidates.map(examine))
  const packages: PluginPackage[] = []
  const rejected: RejectedPackage[] = []
  for (const result of examined) {
    const refused = 'reason' in result ? result : conflict(result, packages)
    if (refused) rejected.push(refused)
    else if ('key' in result) packages.push(result)
  }
  return { packages, rejected }
}

// Through pnpm's links, or from two starting points, one directory is reached more than once.
function distinct(candidates: readonly Candidate[]): Candidate[] {
  const byDir = new Map<string, Candidate>()
  for (const candidate of candidates) {
    const key = candidate.dir ?? candidate.path
    if (!byDir.has(key)) byDir.set(key, candidate)
  }
  return [...byDir.values()]
}

async function examine({ path, dir, named }: Candidate): Promise<PluginPackage | RejectedPackage> {
  const reject = (reason: string): RejectedPackage => {
    const name = pluginNameOfPackage(packageNameAt(path))
    return { path, reason, ...(name ? { plugins: [name] } : {}) }
  }
  if (dir === undefined)
    return reject(named ? 'there is no such directory' : 'it is a link that leads nowhere')
  try {
    const parsed = await readPluginPackage(dir)
    return typeof parsed === 'string' ? reject(parsed) : parsed
  } catch (error) {
    return reject(`its package.json can't be read: ${messageOf(error)}`)
  }
}

// What can't be read may still be recognised by where it lies.
function packageNameAt(path: string): string {
  const [scope = '', name = ''] = path.split(sep).slice(-2)
  return scope.startsWith('@') ? `${scope}/${name}` : name
}

/** Why a package can't stand beside those found before it, which are nearer. */
function conflict(found: PluginPackage, nearer: readonly PluginPackage[]): RejectedPackage | undefined {
  const { packageName, version, dir: path, plugins } = found
  const about = { path, packageName, version, ...(plugins === 'dynamic' ? {} : { plugins }) }
  const shadow = nearer.find((other) => other.packageName === packageName)
  if (shadow) return { ...about, reason: `shadowed by ${packageName}@${shadow.version} in ${shadow.dir}` }
  for (const name of plugins === 'dynamic' ? [] : plugins) {
    const rival = nearer.find((other) => other.plugins !== 'dynamic' && other.plugins.includes(name))
    if (rival) {
      return {
        ...about,
        reason: `its plugin "${name}" is in ${rival.dir} already: remove ${path} or the other`,
      }
    }
  }
  const twin = nearer.find((other) => other.key === found.key)
  if (twin) {
    return {
      ...about,
      reason: `its options' key "${found.key}" belongs to ${twin.packageName} in ${twin.dir} already`,
    }
  }
  return undefined
}
