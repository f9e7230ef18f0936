import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { messageOf } from '@podwire/api'
import { type PluginPackage, parsePluginPackage } from '@podwire/core'
import { errors } from '../errors.ts'

const sources = ['ts', 'mts', 'js', 'mjs'].map((ending) => `src/index.${ending}`)

/** A package that is the one in `dir` by its manifest, and its source by its code. */
export interface SourcePackage {
  readonly manifest: PluginPackage
  /** The directory for a configuration's `discovery.packages`. */
  readonly dir: string
}

/**
 * Puts a package beside, whose entry point is the source of the one in `dir`: a host loads it as any other, and nothing
 * has to be built.
 * @param into a directory of its own
 * @throws PodwireError `NOT_A_PLUGIN_PACKAGE`
 */
export function sourcePackage(dir: string, entry: string | undefined, into: string): SourcePackage {
  const file = join(dir, 'package.json')
  const reject = (reason: string) => errors.NOT_A_PLUGIN_PACKAGE({ dir, reason })
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw reject(`its package.json can't be read: ${messageOf(error)}`)
  }
  const manifest = parsePluginPackage(text, dir)
  if (typeof manifest === 'string') throw reject(manifest)
  const source = entry === undefined ? sources.map((one) => join(dir, one)).find(existsSync) : resolve(entry)
  if (source === undefined || !existsSync(source))
    throw reject(
      `it has no ${entry === undefined ? sources.join(', ') : relative('.', source ?? entry)}: name its source with --entry`,
    )
  // It was parsed just now.
  const { name, version, podwire } = JSON.parse(text) as Record<string, unknown>
  const exports = './index.mjs'
  mkdirSync(into, { recursive: true })
  writeFileSync(join(into, 'package.json'), JSON.stringify({ name, version, podwire, exports }))
  writeFileSync(
    join(into, 'index.mjs'),
    `export { default } from ${JSON.stringify(pathToFileURL(source).href)}\n`,
  )
  return { manifest, dir: into }
}
