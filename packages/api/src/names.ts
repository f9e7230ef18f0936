import { errors } from './error-table.ts'

const namePart = /^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$/
const dnsLabel = '[a-z0-9](?:[a-z0-9-]*[a-z0-9])?'
const dnsSubdomain = new RegExp(`^${dnsLabel}(?:\\.${dnsLabel})*$`)

/** Replaces every `~` with `/`: `mycompany~mysdn` is the directory of `mycompany/mysdn`. Source: `UnescapePluginName`. */
export function unescapePluginName(name: string): string {
  return name.replaceAll('~', '/')
}

/** The other way: the directory name of a plugin. */
export function escapePluginName(name: string): string {
  return name.replaceAll('/', '~')
}

/**
 * What is wrong with `name` as a Kubernetes qualified name (`[prefix/]name`), each in a phrase; empty when it is one.
 * Source: `validation.IsQualifiedName`.
 */
export function qualifiedNameProblems(name: string): string[] {
  const parts = name.split('/')
  if (parts.length > 2) return ['it has more than one "/"']
  const own = parts.at(-1) ?? ''
  const prefix = parts.length === 2 ? parts[0] : undefined
  const problems: string[] = []
  if (prefix === '') problems.push('the prefix before "/" is empty')
  if (prefix && (prefix.length > 253 || !dnsSubdomain.test(prefix))) {
    problems.push('the prefix must be a lower-case DNS subdomain of at most 253 characters')
  }
  if (own === '') problems.push('the name is empty')
  else if (own.length > 63) problems.push('the name is longer than 63 characters')
  else if (!namePart.test(own)) {
    problems.push(
      'the name must begin and end with a letter or digit, with only "-", "_", "." inside besides',
    )
  }
  return problems
}

/** Whether `name` is a Kubernetes qualified name. */
export function isQualifiedName(name: string): boolean {
  return qualifiedNameProblems(name).length === 0
}

const firstPartyPrefix = '@podwire/plugin-'
const unscoped = /^podwire-plugin-(.+)$/
const scoped = /^@([^/]+)\/podwire-plugin-(.+)$/

/**
 * The plugin name that the naming convention reads from a package name, undefined when it is not a plugin package's:
 * `podwire-plugin-mysdn` → `mysdn`, `podwire-plugin-acme.io__mysdn` → `acme.io/mysdn`,
 * `@acme/podwire-plugin-mysdn` → `acme/mysdn`, `@podwire/plugin-exec` → `exec`.
 */
export function pluginNameOfPackage(packageName: string): string | undefined {
  if (packageName.startsWith(firstPartyPrefix)) return packageName.slice(firstPartyPrefix.length) || undefined
  const [, scope, scopedName] = scoped.exec(packageName) ?? []
  if (scope && scopedName) return `${scope}/${scopedName}`
  const [, spelled] = unscoped.exec(packageName) ?? []
  // A DNS prefix never holds "_", so the first "__" can only be the slash.
  return spelled?.replace('__', '/')
}

/**
 * The package name that spells a plugin name without a scope: `acme.io/mysdn` → `podwire-plugin-acme.io__mysdn`.
 * @throws PodwireError `INVALID_PLUGIN_NAME` when the name is not a qualified name, or npm's letters can't spell it
 */
export function packageNameOfPlugin(pluginName: string): string {
  const problems = qualifiedNameProblems(pluginName)
  if (problems.length === 0 && /[A-Z]/.test(pluginName)) problems.push('npm allows no capital letters')
  const packageName = `podwire-plugin-${pluginName.replace('/', '__')}`
  if (problems.length === 0 && pluginNameOfPackage(packageName) !== pluginName) {
    problems.push('"__" in it would be read as "/"')
  }
  if (problems.length === 0 && packageName.length > 214) problems.push('npm allows at most 214 characters')
  if (problems.length === 0) return packageName
  throw errors.INVALID_PLUGIN_NAME({ pluginName, problems })
}
