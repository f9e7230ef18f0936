import { pluginNameOfPackage, qualifiedNameProblems } from '@podwire/api'
import { errors } from './errors.ts'

/** A plugin's name, spelt each way. */
export interface PluginNames {
  /** npm's: `podwire-plugin-acme.io__mysdn`. */
  readonly packageName: string
  /** What a configuration says: `acme.io/mysdn`. */
  readonly pluginName: string
}

// What comes with Podwire: a second plugin of that name would be rejected by every host.
const firstParty = ['cni', 'exec', 'kubenet', 'noop']
const reservedPrefix = /^(?:.+\.)?(?:kubernetes|k8s)\.io\//

/**
 * Both names, from either.
 * @throws PodwireError `BAD_NAME` with every rule of npm and Kubernetes that it breaks
 */
export function pluginNames(given: string): PluginNames {
  const found = namesOf(given)
  const problems = typeof found === 'string' ? [found] : problemsOf(found)
  if (typeof found === 'string' || problems.length > 0) throw errors.BAD_NAME({ name: given, problems })
  return found
}

function namesOf(given: string): PluginNames | string {
  if (given.startsWith('@podwire/')) return 'the scope @podwire belongs to Podwire itself'
  const pluginName = pluginNameOfPackage(given)
  if (pluginName !== undefined) return { packageName: given, pluginName }
  if (given.startsWith('@'))
    return `in a scope it is called @SCOPE/podwire-plugin-NAME, such as ${given.replace('/', '/podwire-plugin-')}`
  // As the directories of exec plugins are spelt.
  if (given.includes('~')) return `npm allows no "~": write ${given.replaceAll('~', '/')}`
  if (given.includes('__')) return 'npm can\'t spell it: "__" in it would be read as "/"'
  return { pluginName: given, packageName: `podwire-plugin-${given.replace('/', '__')}` }
}

// A qualified name holds nothing that npm forbids in a package's but these two.
function problemsOf({ packageName, pluginName }: PluginNames): string[] {
  const isReserved = firstParty.includes(pluginName) || reservedPrefix.test(pluginName)
  return [
    ...qualifiedNameProblems(pluginName),
    ...(/[A-Z]/.test(packageName) ? ['npm allows no capital letters'] : []),
    ...(packageName.length > 214
      ? [`npm allows 214 characters, and ${packageName.slice(0, 30)}… has ${packageName.length}`]
      : []),
    ...(isReserved ? [`"${pluginName}" is reserved for what comes with Podwire and Kubernetes`] : []),
  ]
}
