import { copyFileSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type BuildOptions, build } from 'esbuild'

// From sources each process would take a second or two to load, and there are hundreds.

/** A host process and kubenet as two files. */
export interface HostBundle {
  readonly script: string
  /** The package directory of kubenet. */
  readonly kubenet: string
  remove(): void
}

export async function bundleHost(): Promise<HostBundle> {
  const bundle = openBundle()
  const kubenet = bundle.addPackage('plugins/kubenet', 'kubenet')
  await bundle.build([{ in: new URL('./host-process.ts', import.meta.url).pathname, out: 'host' }])
  bundle.link('packages/netlink', 'koffi')
  return { script: join(bundle.dir, 'host.js'), kubenet, remove: bundle.remove }
}

type EntryPoint = { readonly in: string; readonly out: string }

/** A directory that packages are bundled into, as they lie when they are installed. */
function openBundle() {
  const dir = mkdtempSync(join(tmpdir(), 'podwire-faults-'))
  const entryPoints: EntryPoint[] = []

  function copy(from: string, to: string) {
    mkdirSync(dirname(join(dir, to)), { recursive: true })
    copyFileSync(from, join(dir, to))
  }

  return {
    dir,
    copy,
    /** A package of the workspace that is found on disk: its code is where its package.json says. Returns its directory. */
    addPackage(path: string, to: string): string {
      const from = join(root, path)
      entryPoints.push({ in: join(from, 'src/index.ts'), out: join(to, 'dist/index') })
      copy(join(from, 'package.json'), join(to, 'package.json'))
      return join(dir, to)
    },
    async build(more: readonly EntryPoint[]) {
      await build({ ...options, entryPoints: [...entryPoints, ...more], outdir: dir })
    },
    /** What isn't bundled, and is found by its name from wherever the code is that wants it. */
    link(owner: string, name: string) {
      mkdirSync(join(dir, 'node_modules'), { recursive: true })
      symlinkSync(realpathSync(join(root, owner, 'node_modules', name)), join(dir, 'node_modules', name))
    },
    remove: () => rmSync(dir, { recursive: true, force: true }),
  }
}

const root = new URL('../../../..', import.meta.url).pathname

const options: BuildOptions = {
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  conditions: ['podwire-source'],
  external: ['koffi', 'tsx', 'yaml', 'fast-glob', '@podwire/plugin-*', '@podwire/testing'],
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
}
