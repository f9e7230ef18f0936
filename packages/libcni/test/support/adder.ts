import { join } from 'node:path'
import { build } from 'esbuild'

/** Makes a program, for Node to run with `PLUGINS CACHE CONTAINERID`, that adds and deletes until it is killed. */
export async function buildAdder(directory: string): Promise<string> {
  const outfile = join(directory, 'adder.mjs')
  const contents = `
    import { createCni, parseNetworkConfigList } from '@podwire/libcni'
    const [plugins, cacheDirectory, containerId] = process.argv.slice(2)
    const cni = createCni({ pluginDirectories: [plugins], cacheDirectory })
    const network = parseNetworkConfigList(
      '{"name":"net1","cniVersion":"1.0.0","plugins":[{"type":"one","key":"value"}]}')
    const attachment = { containerId, ifName: 'eth0', netns: '/run/netns/' + containerId }
    console.log('begins')
    for (;;) {
      await cni.add(network, attachment)
      await cni.del(network, attachment)
    }`
  const stdin = { contents, resolveDir: import.meta.dirname }
  await build({
    stdin,
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    conditions: ['podwire-source'],
  })
  return outfile
}
