import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'

const testing = new URL('../..', import.meta.url).pathname

/** The kit, and the plugins of these tests, in JavaScript. */
export interface Compiled {
  readonly kit: typeof import('../../src/plugin/index.ts')
  /** The file of a plugin of this directory: `good`, `broken/import`. */
  plugin(name: string): string
  remove(): Promise<void>
}

/** Compiles them as users have them. From their sources each of the many processes would first have to do the same. */
export async function compiled(): Promise<Compiled> {
  const dir = await mkdtemp(join(tmpdir(), 'podwire-kit-'))
  const broken = (await readdir(join(testing, 'test/plugin/broken'))).filter((name) => name.endsWith('.ts'))
  await writeFile(join(dir, 'package.json'), '{"type": "module"}')
  await build({
    absWorkingDir: testing,
    entryPoints: [
      ...['index', 'worker', 'plugin-process-main'].map((name) => `src/plugin/${name}.ts`),
      'test/plugin/good.ts',
      ...broken.map((name) => `test/plugin/broken/${name}`),
    ],
    outbase: testing,
    outdir: dir,
    // The kit finds its programs beside itself.
    chunkNames: 'src/plugin/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    conditions: ['podwire-source'],
  })
  return {
    kit: await import(join(dir, 'src/plugin/index.js')),
    plugin: (name) => join(dir, 'test/plugin', `${name}.js`),
    remove: () => rm(dir, { recursive: true, force: true }),
  }
}
