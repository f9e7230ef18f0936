import { join, resolve } from 'node:path'
import { errors } from '../errors.ts'

/** Where container runtimes look, and what is ours there. */
export interface CniPlaces {
  /** The executable, which runtimes call by its name. */
  readonly shim: string
  readonly confDir: string
  /** The network's configuration. */
  readonly conflist: string
}

/** The flags that say where. */
export interface PlaceFlags {
  readonly binDir?: string
  readonly confDir?: string
  readonly name?: string
}

export const placeDefaults = { binDir: '/opt/cni/bin', confDir: '/etc/cni/net.d', name: 'podwire' } as const

/** The type of the plugin in configurations, which is its executable's name. */
export const PLUGIN_TYPE = 'podwire'

/** @throws PodwireError `USAGE` */
export function placesOf({
  binDir = placeDefaults.binDir,
  confDir = placeDefaults.confDir,
  name = placeDefaults.name,
}: PlaceFlags): CniPlaces {
  // A network's name as CNI has it, which is part of the file's.
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name))
    throw errors.USAGE({ what: '--name', value: name, expected: 'letters, digits, "_", "." or "-"' })
  return {
    shim: join(resolve(binDir), PLUGIN_TYPE),
    confDir: resolve(confDir),
    conflist: join(resolve(confDir), `10-${name}.conflist`),
  }
}
