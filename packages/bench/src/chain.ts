import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Writes the classic chain: bridge with masquerade, host-local, portmap; with shaping where asked. Returns its path. */
export function writeChain(
  dir: string,
  { name, shaping = false }: { name: string; shaping?: boolean },
): string {
  const file = join(dir, `${name}.conflist`)
  const bridge = {
    type: 'bridge',
    bridge: name,
    isGateway: true,
    ipMasq: true,
    hairpinMode: true,
    ipam: {
      type: 'host-local',
      dataDir: join(dir, 'leases'),
      subnet: '10.120.0.0/16',
      routes: [{ dst: '0.0.0.0/0' }],
    },
  }
  const portmap = { type: 'portmap', capabilities: { portMappings: true } }
  const bandwidth = { type: 'bandwidth', capabilities: { bandwidth: true } }
  const plugins = [bridge, portmap, ...(shaping ? [bandwidth] : [])]
  writeFileSync(file, JSON.stringify({ cniVersion: '1.0.0', name, plugins }))
  return file
}
