import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createPluginCatalog, discoverPlugins, loadConfig } from '@podwire/core'
import { type Figure, figure, interleaved, median } from './figure.ts'

/**
 * Discovery in a node_modules of 5,000 packages, 50 of them plugins, beside a bare listing of the same two levels; and the choice of
 * one plugin among 50 that are installed, beside reading as many files: all that a host does for it but to import the plugin.
 */
export async function discovery(): Promise<Figure[]> {
  const dir = await mkdtemp(join(tmpdir(), 'podwire-bench-'))
  try {
    const nodeModules = join(dir, 'node_modules')
    await Promise.all(packageNames().map((name) => writePackage(nodeModules, name)))
    const places = { from: dir, paths: [], packages: [] }
    const samples = await interleaved(
      30,
      () => discoverPlugins(places),
      () => listTwoLevels(nodeModules),
    )
    return [
      await choice(join(dir, 'chosen')),
      figure({
        bench: 'discovery',
        row: '5,000 packages, 50 plugins; a readdir of two levels',
        unit: 'ms',
        ours: median(samples.ours),
        reference: median(samples.reference),
        goal: '≤ 2',
      }),
    ]
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

async function choice(dir: string): Promise<Figure> {
  const names = packageNames().filter((name) => name.includes('podwire-plugin-'))
  const nodeModules = join(dir, 'node_modules')
  await Promise.all(names.map((name) => writePackage(nodeModules, name)))
  const [chosen = ''] = names
  await writeFile(join(nodeModules, chosen, 'index.js'), plugin('sdn-0'))
  const configuration = await loadConfig({ config: { networkPlugin: 'sdn-0' }, cwd: dir })
  const choose = async () => (await createPluginCatalog({ configuration, log })).load('sdn-0')
  // What is left once it is imported is the host's own.
  const samples = await interleaved(50, choose, () =>
    Promise.all(names.map((name) => readFile(join(nodeModules, name, 'package.json'), 'utf8'))),
  )
  return figure({
    bench: 'discovery',
    row: '50 plugins installed, one chosen; reading 50 files',
    unit: 'ms',
    ours: median(samples.ours),
    reference: median(samples.reference),
    goal: 'ours ≤ 10 ms',
  })
}

const log = { debug() {}, info() {}, warn() {}, error() {} }

function plugin(name: string): string {
  const methods = ['init', 'event', 'setUpPod', 'tearDownPod', 'getPodNetworkStatus', 'status']
  return `export default { apiVersion: 1, probe: () => [{ name: '${name}', capabilities: () => 0, ${methods
    .map((method) => `async ${method}() {}`)
    .join(', ')} }] }`
}

// A tenth of them in scopes, ten to a scope.
function packageNames(): string[] {
  const plain = Array.from({ length: 4450 }, (_, i) => `package-${i}`)
  const scoped = Array.from({ length: 500 }, (_, i) => `@scope-${Math.floor(i / 10)}/package-${i}`)
  const plugins = Array.from({ length: 40 }, (_, i) => `podwire-plugin-sdn-${i}`)
  const scopedPlugins = Array.from({ length: 10 }, (_, i) => `@scope-${i}/podwire-plugin-sdn`)
  return [...plain, ...scoped, ...plugins, ...scopedPlugins]
}

async function writePackage(nodeModules: string, name: string): Promise<void> {
  const dir = join(nodeModules, name)
  await mkdir(dir, { recursive: true })
  const manifest = name.includes('podwire-plugin-')
    ? { type: 'module', exports: './index.js', podwire: { apiVersion: 1 } }
    : {}
  await writeFile(join(dir, 'package.json'), JSON.stringify({ name, version: '1.0.0', ...manifest }))
}

async function listTwoLevels(root: string): Promise<string[]> {
  const names = await readdir(root)
  const inside = await Promise.all(names.map((name) => readdir(join(root, name))))
  return inside.flat()
}
