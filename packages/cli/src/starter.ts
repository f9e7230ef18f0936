import { STARTER_CONFIG } from './configuration.ts'

/** What a starter configuration holds: of the plugin that comes with this package, or of another one, with its key in `plugins`. */
export async function starter(networkPlugin: string = STARTER_CONFIG.networkPlugin, key = networkPlugin) {
  const podCIDR = await freePodCIDR()
  return {
    networkPlugin,
    podCIDR,
    hairpinMode: 'hairpin-veth',
    nonMasqueradeCIDR: podCIDR,
    mtu: 0,
    plugins: { [key]: {} },
  }
}

/** A range that is free on this host, as any plugin understands it; the usual one where nobody can look. */
async function freePodCIDR(): Promise<string> {
  const { findFreePodCIDR } = await import('@podwire/plugin-kubenet')
  const found = await findFreePodCIDR().catch(() => undefined)
  return found ?? '10.88.0.0/16'
}
