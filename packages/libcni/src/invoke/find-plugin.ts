import { statSync } from 'node:fs'
import { join } from 'node:path'
import { errors } from '../errors.ts'

/**
 * The first regular file called `type` along the directories.
 * @throws CniError `ERR_CNI_PLUGIN_NAME`, `ERR_CNI_PLUGIN_NOT_FOUND`
 */
export async function findPlugin(type: string, directories: readonly string[]): Promise<string> {
  if (type === '' || type === '.' || type === '..' || /[/\0]/.test(type))
    throw errors.ERR_CNI_PLUGIN_NAME({ plugin: type })
  for (const directory of directories) {
    const path = join(directory, type)
    if (isFile(path)) return path
  }
  throw errors.ERR_CNI_PLUGIN_NOT_FOUND({ plugin: type, path: directories })
}

function isFile(path: string): boolean {
  try {
    return statSync(path).isFile()
  } catch {
    return false
  }
}
