import { errors } from '../errors.ts'
import type { Discovery } from './discover.ts'
import type { PluginPackage } from './manifest.ts'

/**
 * The packages to import for a plugin: the one whose manifest states it, else those whose probe alone can tell.
 * What is merely installed is never among them.
 * @throws PodwireError `PLUGIN_PACKAGE_REJECTED` when only a rejected package offers the plugin
 */
export function choosePackages({ packages, rejected }: Discovery, name: string): PluginPackage[] {
  const stating = packages.find(({ plugins }) => plugins !== 'dynamic' && plugins.includes(name))
  if (stating) return [stating]
  const refused = rejected.find(({ plugins }) => plugins?.includes(name))
  if (refused) throw errors.PLUGIN_PACKAGE_REJECTED({ name, dir: refused.path, reason: refused.reason })
  return packages.filter(({ plugins }) => plugins === 'dynamic')
}
