import { dirname, resolve } from 'node:path'
import { type FindConfigOptions, findConfig } from './find.ts'
import { type Config, type ProgramConfig, parseConfig, standardConfig } from './parse.ts'
import { readConfig } from './read.ts'
import type { PodwireConfig } from './schema.ts'
import { assertTrusted } from './trust.ts'

/** Where to look for a configuration, and what to take instead. */
export interface LoadConfigOptions extends FindConfigOptions {
  /** The configuration itself: nothing is searched for. */
  readonly config?: PodwireConfig
  /** What holds where no file is found. */
  readonly fallback?: ProgramConfig
  /** Wins over the configuration's; relative to the working directory. */
  readonly stateDir?: string | undefined
  /** Directories whose files are used as root though others than root could have written them. */
  readonly trust?: readonly string[]
}

/** A configuration and where it came from. */
export interface LoadedConfig {
  /** Undefined: it was given, or none was found and the defaults hold. */
  readonly file: string | undefined
  /** The directory that relative paths start from. */
  readonly dir: string
  /** Where the search for plugins starts; undefined without any configuration: what lies near is nobody's choice then. */
  readonly searchFrom: string | undefined
  readonly config: Config
  readonly trust: readonly string[]
}

/**
 * Finds, reads and checks the configuration.
 * @throws PodwireError `CONFIG_NOT_FOUND`, `CONFIG_UNREADABLE`, `CONFIG_INVALID`, `UNTRUSTED`
 */
export async function loadConfig(options: LoadConfigOptions = {}): Promise<LoadedConfig> {
  const { cwd = '.', config: given, fallback = {}, stateDir, trust = [] } = options
  const file = given ? undefined : findConfig(options)
  if (file) assertTrusted(file, 'this configuration', trust)
  const dir = file ? dirname(file) : resolve(cwd)
  const config =
    file || given
      ? parseConfig(file ? await readConfig(file) : given, file, dir)
      : standardConfig(fallback, dir)
  return {
    file,
    dir,
    searchFrom: file || given ? dir : undefined,
    config: stateDir === undefined ? config : { ...config, stateDir: resolve(cwd, stateDir) },
    trust,
  }
}
