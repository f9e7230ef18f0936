import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'

let built: Promise<string> | undefined

/** A program, for Node to run with `PLUGINS CACHE CONTAINERID`, that adds and deletes until it is killed. */
export function adder(): Promise<string> {
  built ??= bundle()
  return built
}

async function bundle(): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'podwire-adder-'))
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }))
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
