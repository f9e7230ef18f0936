import { statSync } from 'node:fs'
import { join } from 'node:path'
import { badPluginName, pluginNotFound } from '../errors.ts'

/**
 * The first regular file called `type` along the directories.
 * @throws CniError `ERR_CNI_PLUGIN_NAME`, `ERR_CNI_PLUGIN_NOT_FOUND`
 */
export async function findPlugin(type: string, directories: readonly string[]): Promise<string> {
  if (type === '' || type === '.' || type === '..' || /[/\0]/.test(type)) throw badPluginName(type)
  for (const directory of directories) {
    const path = join(directory, type)
    if (isFile(path)) return path
  }
  throw pluginNotFound(type, directories)
}

function isFile(path: string): boolean {
  try {
    return statSync(path).isFile()
  } catch {
    return false
  }
}
