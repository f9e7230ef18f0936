import { dirname, resolve } from 'node:path'
import { type FindConfigOptions, findConfig } from './find.ts'
import { type Config, parseConfig } from './parse.ts'
import { readConfig } from './read.ts'

/** A configuration and where it came from. */
export interface LoadedConfig {
  /** Undefined: none was found, and the defaults hold. */
  readonly file: string | undefined
  /** The directory that relative paths and the search for plugins start from. */
  readonly dir: string
  readonly config: Config
}

/**
 * Finds, reads and checks the configuration.
 * @throws PodwireError `CONFIG_NOT_FOUND`, `CONFIG_UNREADABLE`, `CONFIG_INVALID`
 */
export async function loadConfig(options: FindConfigOptions = {}): Promise<LoadedConfig> {
  const file = findConfig(options)
  const dir = file ? dirname(file) : resolve(options.cwd ?? '.')
  const config = parseConfig(file ? await readConfig(file) : {}, file, dir)
  return { file, dir, config }
}
