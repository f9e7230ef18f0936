import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { errnoOf, messageOf } from '@podwire/api'
import { readNetworkFile } from '@podwire/libcni'
import { errors } from '../errors.ts'
import { ownerOfConflist } from './conflist.ts'

/** A configuration that runtimes find. */
export interface FoundNetwork {
  readonly file: string
  readonly name: string
  /** The types of its plugins, in order. */
  readonly plugins: readonly string[]
  readonly isOurs: boolean
  /** Why runtimes don't take it. */
  readonly problem?: string
}

const extensions = ['.conflist', '.conf', '.json']

/** All configurations of a directory, in the order in which containerd and CRI-O look at them: the first good one is theirs. */
export async function listNetworks(confDir: string): Promise<FoundNetwork[]> {
  let names: string[]
  try {
    names = readdirSync(confDir).sort()
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw errors.CNI_FILE({ file: confDir, what: 'read' }, error)
  }
  const files = names.filter((name) => extensions.some((extension) => name.endsWith(extension)))
  return Promise.all(files.map((name) => readNetwork(join(confDir, name))))
}

async function readNetwork(file: string): Promise<FoundNetwork> {
  try {
    const { name, plugins } = await readNetworkFile(file)
    return { file, name, plugins: plugins.map(({ type }) => type), isOurs: ownerOfConflist(file) === 'ours' }
  } catch (error) {
    return { file, name: '', plugins: [], isOurs: false, problem: messageOf(error) }
  }
}
