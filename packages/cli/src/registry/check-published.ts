import { API_VERSION } from '@podwire/api'
import type { PluginPackage } from '@podwire/core'
import { errors } from '../errors.ts'
import { type PackageSpec, type PublishedVersion, publishedVersion, publishedVersions } from './published.ts'

/** A version that this host can use. */
export interface UsableVersion {
  readonly published: PublishedVersion
  readonly manifest: PluginPackage
}

/**
 * Looks at a package's manifest in the registry, before anything of it is installed.
 * @throws PodwireError `NO_SUCH_PACKAGE`, `REGISTRY_FAILED`, `NOT_USABLE` with the version to take instead, where there is one
 */
export async function checkPublished(spec: PackageSpec, cwd: string): Promise<UsableVersion> {
  const published = await publishedVersion(spec, cwd)
  const manifest = await manifestOf(published)
  if (typeof manifest !== 'string') return { published, manifest }
  const usable = await newestUsable(spec.name, cwd)
  throw errors.NOT_USABLE({
    name: spec.name,
    version: published.version,
    problem: manifest,
    ...(usable ? { instead: usable.published.version } : {}),
  })
}

/** The newest version that this host can use; undefined: none. */
export async function newestUsable(name: string, cwd: string): Promise<UsableVersion | undefined> {
  for (const published of await publishedVersions(name, cwd)) {
    const manifest = await manifestOf(published)
    if (typeof manifest !== 'string') return { published, manifest }
  }
  return undefined
}

/** The manifest of a published version; a string says what is wrong with it. */
export async function manifestOf({
  name,
  version,
  podwire,
}: PublishedVersion): Promise<PluginPackage | string> {
  const { parsePluginPackage } = await import('@podwire/core')
  if (podwire === undefined) return `it is not a plugin package: it has no "podwire" key in its package.json`
  const stated = (podwire as { apiVersion?: unknown } | null)?.apiVersion
  // A newer contract may have a manifest of another shape: that it is newer is the news.
  if (typeof stated === 'number' && stated > API_VERSION)
    return `it is made for version ${stated} of the plugin API, and this podwire knows version ${API_VERSION}`
  return parsePluginPackage(JSON.stringify({ name, version, podwire }), '')
}
