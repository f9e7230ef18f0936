import type { Host, NetworkPlugin } from '@podwire/api'
import { recordingLogger } from '@podwire/testing'
import cni from '../src/index.ts'

/** Where Debian's plugins are. */
export const binDir = '/usr/lib/cni'

/** A plugin with the networks in `DIRECTORY/net.d`, initialised, the pod CIDR of both families known. */
export async function startPlugin(host: Host, directory: string): Promise<NetworkPlugin> {
  const given = { confDir: 'net.d', binDirs: [binDir], cacheDir: 'cache' }
  const parsed = await cni.options?.['~standard'].validate(given)
  if (!parsed || parsed.issues) throw new Error('bad options')
  const context = { options: parsed.value, configDir: directory, stateDir: directory, log: recordingLogger() }
  const [plugin] = await cni.probe(context)
  if (!plugin) throw new Error('no plugin was offered')
  await plugin.init(host, { hairpinMode: 'none', nonMasqueradeCIDR: '10.0.0.0/8', mtu: 0 })
  await plugin.event('pod-cidr-change', { 'pod-cidr': '10.77.0.0/24,fd77::/64' })
  return plugin
}
