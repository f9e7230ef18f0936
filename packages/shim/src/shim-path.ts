import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** A shim that can be installed on this machine. */
export interface Shim {
  /** The file as it is in this installation of the package: for {@link readShim}, not to be started from here. */
  readonly path: string
  /** `native`: needs nothing else. `node`: JavaScript, which takes the start of a Node. */
  readonly kind: 'native' | 'node'
}

/** The shim of this machine: the native one, where there is one for its system and processor. */
export function shimPath({ platform = process.platform, arch = process.arch } = {}): Shim {
  const native = nativePath(`@podwire/shim-${platform}-${arch}`)
  if (native !== undefined) return { path: native, kind: 'native' }
  return { path: fileURLToPath(new URL('../dist/node-shim.cjs', import.meta.url)), kind: 'node' }
}

/**
 * What an installation writes into a file of mode 0755, which it then renames to its place.
 * @param options.node the Node that the shim of JavaScript is to be run by. Default: this one
 */
export async function readShim({ path, kind }: Shim, { node = process.execPath } = {}): Promise<Buffer> {
  const content = await readFile(path)
  return kind === 'native' ? content : Buffer.concat([Buffer.from(`#!${node}\n`), content])
}

/** Package managers install the package of this machine alone, or none where optional ones are left out. */
function nativePath(name: string): string | undefined {
  try {
    const path = join(
      dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)),
      'dist/podwire-shim',
    )
    return existsSync(path) ? path : undefined
  } catch {
    return undefined
  }
}
