import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The top of the repository. */
export const root = new URL('../../..', import.meta.url).pathname

/** A package of this repository that is published. */
export interface WorkspacePackage {
  /** `@podwire/libcni` */
  readonly name: string
  /** From the top of the repository: `packages/libcni`. */
  readonly dir: string
  readonly description: string
  /** The name of its pages: `libcni`, `plugin-kubenet`. */
  readonly slug: string
  /** What can be imported of it, and from which source: `@podwire/libcni/plugin` → `packages/libcni/src/plugin/index.ts`. */
  readonly entries: ReadonlyMap<string, string>
}

interface Manifest {
  readonly name: string
  readonly private?: boolean
  readonly description?: string
  readonly exports?: Readonly<Record<string, string | Readonly<Record<string, string>>>>
}

/** Every published package of the repository. */
export function publishedPackages(): WorkspacePackage[] {
  return ['packages', 'plugins']
    .flatMap((parent) => readdirSync(join(root, parent)).map((name) => `${parent}/${name}`))
    .filter((dir) => existsSync(join(root, dir, 'package.json')))
    .flatMap((dir) => {
      const manifest = readManifest(dir)
      const { name, description = '' } = manifest
      const slug = name.replace('@podwire/', '')
      return manifest.private ? [] : [{ name, dir, description, slug, entries: entriesOf(dir, manifest) }]
    })
}

function readManifest(dir: string): Manifest {
  // This repository's own files: other tests check that they are as they should be.
  return JSON.parse(readFileSync(join(root, dir, 'package.json'), 'utf8')) as Manifest
}

function entriesOf(dir: string, { name, exports = {} }: Manifest): Map<string, string> {
  const entries = Object.entries(exports).flatMap(([subpath, target]) => {
    const source = typeof target === 'string' ? undefined : target['podwire-source']
    return source ? [[join(name, subpath), join(dir, source)] as const] : []
  })
  return new Map(entries)
}
