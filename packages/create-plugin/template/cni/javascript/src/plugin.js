import { fileURLToPath } from 'node:url'
import { cniNetworkPlugin } from '@podwire/plugin-cni'
import { name } from './name.js'

// The network configuration of this package: see 10-*.conflist in there.
const confDir = fileURLToPath(new URL('../net.d', import.meta.url))

/**
 * Gives each pod the CNI network that comes with this package. Everything is @podwire/plugin-cni's but the name and the
 * configuration; a method written here takes the place of its own.
 *
 * @param {import('@podwire/api').ProbeContext<import('./options.js').Options>} context
 * @returns {import('@podwire/api').NetworkPlugin}
 */
export function networkPlugin({ options, ...context }) {
  const { binDirs } = options
  const cni = cniNetworkPlugin({ ...context, options: { confDir, binDirs, vendorPrefix: '/' } })
  return { ...cni, name }
}
