import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { errors } from '../errors.ts'

/** The formats of a configuration file, in the order in which they are looked for. */
export const CONFIG_EXTENSIONS = ['ts', 'mts', 'js', 'mjs', 'json', 'yaml', 'yml'] as const

/** Where the configuration of a machine lies. */
const SYSTEM_CONFIG_DIR = '/etc/podwire'

/** Where to look for a configuration. */
export interface FindConfigOptions {
  readonly cwd?: string
  /** Wins over everything: `--config`. */
  readonly file?: string
  /** Its `PODWIRE_CONFIG` wins over the search. */
  readonly env?: Readonly<Record<string, string | undefined>>
}

/**
 * The configuration file to use: the one given, else that of `PODWIRE_CONFIG`, else the nearest `podwire.config.*` from
 * the working directory upwards, else that of the machine; undefined when there is none.
 * @throws PodwireError `CONFIG_NOT_FOUND` when a file was named and isn't there
 */
export function findConfig({
  cwd = process.cwd(),
  file,
  env = process.env,
}: FindConfigOptions = {}): string | undefined {
  const named = file ?? (env['PODWIRE_CONFIG'] || undefined)
  if (named !== undefined) {
    const path = resolve(cwd, named)
    if (!existsSync(path)) throw errors.CONFIG_NOT_FOUND({ file: path })
    return path
  }
  for (let dir = resolve(cwd); ; dir = dirname(dir)) {
    const found = findIn(dir)
    if (found) return found
    if (dir === dirname(dir)) return findIn(SYSTEM_CONFIG_DIR)
  }
}

function findIn(dir: string): string | undefined {
  return CONFIG_EXTENSIONS.map((extension) => join(dir, `podwire.config.${extension}`)).find((path) =>
    existsSync(path),
  )
}
