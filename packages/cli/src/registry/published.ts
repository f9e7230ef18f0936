import { execFile } from 'node:child_process'
import { messageOf, packageNameOfPlugin, pluginNameOfPackage, printable } from '@podwire/api'
import { errors } from '../errors.ts'
import { interrupted } from '../signals.ts'

/** A version of a package, as the registry describes it before anything of it is installed. */
export interface PublishedVersion {
  readonly name: string
  readonly version: string
  readonly description?: string
  /** The manifest, unchecked. */
  readonly podwire?: unknown
  readonly keywords?: readonly string[]
  readonly deprecated?: string
  readonly 'dist-tags'?: Readonly<Record<string, string>>
}

/** A package and what of it is wanted: a version, a range or a tag; `''`: the newest. */
export interface PackageSpec {
  readonly name: string
  readonly wanted: string
}

const included = ['cni', 'exec', 'kubenet', 'noop']
const packageName = /^(?:@[a-z0-9][a-z0-9._-]*\/)?[a-z0-9][a-z0-9._-]*$/
const wantedVersion = /^[\w.^~<>=*| +-]*$/

/**
 * `mysdn`, `acme.io/mysdn`, `@acme/podwire-plugin-mysdn`, each with `@VERSION` or not. A path or an address is none: what
 * they hold could not be looked at first.
 */
export function parsePackageSpec(text: string): PackageSpec {
  const at = text.indexOf('@', 1)
  const [given, wanted] = at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
  const name = given.startsWith('@') || given.startsWith('podwire-plugin-') ? given : packageOf(given)
  if (packageName.test(name) && wantedVersion.test(wanted)) return { name, wanted }
  throw errors.USAGE({
    what: 'package',
    value: text,
    expected: 'the name of a plugin or of its package, such as acme.io/mysdn or podwire-plugin-mysdn@^1.2.0',
  })
}

function packageOf(pluginName: string): string {
  return included.includes(pluginName) ? `@podwire/plugin-${pluginName}` : packageNameOfPlugin(pluginName)
}

/**
 * The version that is wanted, as the registry of the project's npm describes it.
 * @throws PodwireError `NO_SUCH_PACKAGE`, `REGISTRY_FAILED`
 */
export async function publishedVersion(
  { name, wanted }: PackageSpec,
  cwd: string,
): Promise<PublishedVersion> {
  const found = await view(wanted === '' ? name : `${name}@${wanted}`, cwd)
  const newest = found.sort(byVersion).at(-1)
  if (newest) return newest
  throw errors.NO_SUCH_PACKAGE({ name: `${name}@${wanted}` })
}

/** All versions but prereleases, the newest first. */
export async function publishedVersions(name: string, cwd: string): Promise<PublishedVersion[]> {
  return (await view(`${name}@>=0.0.0`, cwd)).sort(byVersion).reverse()
}

/** Plugin packages that the registry finds by these words. Not every registry knows how to search by a keyword alone. */
export async function searchPublished(words: readonly string[], cwd: string): Promise<PublishedVersion[]> {
  const found = await npm(
    ['search', '--json', '--searchlimit=250', '--', 'podwire-plugin', ...words],
    cwd,
    'the search',
  )
  return asVersions(found).filter(
    ({ name, keywords = [] }) =>
      pluginNameOfPackage(name) !== undefined || keywords.includes('podwire-plugin'),
  )
}

async function view(spec: string, cwd: string): Promise<PublishedVersion[]> {
  const fields = ['name', 'version', 'description', 'podwire', 'deprecated', 'dist-tags']
  return asVersions(await npm(['view', '--json', spec, ...fields], cwd, spec))
}

function asVersions(found: unknown): PublishedVersion[] {
  const listed: readonly unknown[] = Array.isArray(found) ? found : [found]
  return listed.flatMap((one) => {
    if (typeof one !== 'object' || one === null) return []
    const { name, version: own, ...rest } = one as Partial<PublishedVersion>
    // A search may tell the version by its tag alone.
    const version = own ?? rest['dist-tags']?.['latest']
    // The other fields are shown, or checked by whoever uses them.
    return typeof name === 'string' && typeof version === 'string' ? [{ name, version, ...rest }] : []
  })
}

function byVersion(one: PublishedVersion, other: PublishedVersion): number {
  return one.version.localeCompare(other.version, 'en', { numeric: true })
}

// npm asks whatever registry, proxy and credentials the project has; others than npm have it for this too.
async function npm(args: readonly string[], cwd: string, what: string): Promise<unknown> {
  // Somebody waits at a terminal: one more try, not minutes of them.
  const patience = ['--fetch-retries=1', '--fetch-retry-mintimeout=500', '--fetch-timeout=20000']
  const { failure, stdout } = await new Promise<{ failure: Error | null; stdout: string }>((resolve) => {
    const options = { cwd, signal: interrupted, timeout: 60_000, maxBuffer: 64 * 1024 * 1024 }
    execFile('npm', [...patience, ...args], options, (error, out) => resolve({ failure: error, stdout: out }))
  })
  interrupted.throwIfAborted()
  const answer = parse(stdout)
  if (!failure) return answer
  const { code, summary } = errorOf(answer)
  if (code === 'E404') throw errors.NO_SUCH_PACKAGE({ name: what })
  const reason = code
    ? `${code}${summary ? `: ${printable(summary)}` : ''}`
    : messageOf(failure).split('\n', 1)[0]
  throw errors.REGISTRY_FAILED({ what, reason: reason ?? '' })
}

function parse(text: string): unknown {
  try {
    return text.trim() === '' ? [] : JSON.parse(text)
  } catch {
    return undefined
  }
}

function errorOf(answer: unknown): { code?: string; summary?: string } {
  const error = typeof answer === 'object' && answer !== null ? Reflect.get(answer, 'error') : undefined
  const text = (key: string) => (typeof error?.[key] === 'string' ? String(error[key]) : '')
  return { code: text('code'), summary: text('summary') || text('detail').split('\n', 1)[0] || '' }
}
