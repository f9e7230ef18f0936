import { fileURLToPath } from 'node:url'
import type { NetworkPlugin, ProbeContext } from '@podwire/api'
import { cniNetworkPlugin } from '@podwire/plugin-cni'
import { name } from './name.ts'
import type { Options } from './options.ts'

// The network configuration of this package: see 10-*.conflist in there.
const confDir = fileURLToPath(new URL('../net.d', import.meta.url))

/**
 * Gives each pod the CNI network that comes with this package. Everything is @podwire/plugin-cni's but the name and the
 * configuration; a method written here takes the place of its own.
 */
export function networkPlugin({ options, ...context }: ProbeContext<Options>): NetworkPlugin {
  const { binDirs } = options
  const cni = cniNetworkPlugin({ ...context, options: { confDir, binDirs, vendorPrefix: '/' } })
  return { ...cni, name }
}
