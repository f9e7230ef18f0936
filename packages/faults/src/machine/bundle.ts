import { copyFileSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { build } from 'esbuild'

/** A host process and kubenet as two files: started from sources, each process would take a second to load. */
export interface HostBundle {
  readonly script: string
  /** The package directory of kubenet. */
  readonly kubenet: string
  remove(): void
}

export async function bundleHost(): Promise<HostBundle> {
  const dir = mkdtempSync(join(tmpdir(), 'podwire-faults-'))
  const kubenet = dirname(createRequire(import.meta.url).resolve('@podwire/plugin-kubenet/package.json'))
  await build({
    entryPoints: [
      { in: new URL('./host-process.ts', import.meta.url).pathname, out: 'host' },
      // Where its package.json says that its code is.
      { in: join(kubenet, 'src/index.ts'), out: 'kubenet/dist/index' },
    ],
    outdir: dir,
    bundle: true,
    format: 'esm',
    outExtension: { '.js': '.js' },
    platform: 'node',
    target: 'node20',
    conditions: ['podwire-source'],
    external: ['koffi', 'tsx', 'yaml', 'fast-glob'],
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
  })
  // Native, and found by its name from wherever netlink's code is.
  const netlink = createRequire(import.meta.url).resolve('@podwire/netlink/package.json')
  mkdirSync(join(dir, 'node_modules'))
  symlinkSync(realpathSync(join(dirname(netlink), 'node_modules/koffi')), join(dir, 'node_modules/koffi'))
  copyFileSync(join(kubenet, 'package.json'), join(dir, 'kubenet/package.json'))
  return {
    script: join(dir, 'host.js'),
    kubenet: join(dir, 'kubenet'),
    remove: () => rmSync(dir, { recursive: true, force: true }),
  }
}
