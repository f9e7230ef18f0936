import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '@podwire/api'
import { type Answers, kinds, languages } from './answers.ts'
import { writeFiles } from './create.ts'
import { errors } from './errors.ts'
import { mergeFile } from './merge-file.ts'
import { isObject } from './merge-json.ts'
import { ANSWERS_KEY } from './package-json.ts'
import { pluginNames } from './plugin-names.ts'
import { type Files, instantiate, type TemplateFile } from './template.ts'

/** What an update did to one file. */
export interface FileUpdate {
  readonly path: string
  readonly did: 'added' | 'merged' | 'left'
  readonly conflicts: readonly string[]
}

/** Who made a package, and of what. */
export interface Origin {
  readonly answers: Answers
  /** Of create-podwire-plugin. */
  readonly version: string
}

/**
 * What is remembered in the package.json of a package that was made here.
 * @throws PodwireError `NOT_MADE_HERE`
 */
export async function readOrigin(dir: string): Promise<Origin> {
  const file = join(dir, 'package.json')
  const reject = (problem: string) => errors.NOT_MADE_HERE({ file, problem })
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw errnoOf(error) === 'ENOENT' ? reject('there is no such file') : error
  })
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw reject('it is not JSON')
  }
  const found = isObject(json) ? json[ANSWERS_KEY] : undefined
  if (!isObject(found)) throw reject(`it has no "${ANSWERS_KEY}" key, which says how it was made`)
  const { version, packageName, description, kind, language } = found
  if (typeof version !== 'string' || !/^\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(version))
    throw reject(`"version" in "${ANSWERS_KEY}" is not a version`)
  if (typeof packageName !== 'string' || typeof description !== 'string')
    throw reject(`"packageName" or "description" is missing in "${ANSWERS_KEY}"`)
  if (!isOneOf(kinds, kind) || !isOneOf(languages, language))
    throw reject(`"kind" or "language" in "${ANSWERS_KEY}" is unknown`)
  return { version, answers: { ...pluginNames(packageName), description, kind, language } }
}

/**
 * Merges into a package what changed in the template since it was made.
 * @param base the files as they were made
 */
export async function update(
  dir: string,
  {
    answers,
    base,
    version,
    dryRun,
    signal,
  }: {
    readonly answers: Answers
    readonly base: Files
    readonly version: string
    readonly dryRun: boolean
    readonly signal: AbortSignal
  },
): Promise<FileUpdate[]> {
  const fresh = instantiate(answers, version)
  const written = new Map<string, TemplateFile>()
  const updates: FileUpdate[] = []
  for (const path of new Set([...base.keys(), ...fresh.keys()])) {
    const mine = await readFile(join(dir, path), 'utf8').catch((error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return undefined
      throw error
    })
    const theirs = fresh.get(path)
    const { text, conflicts } = mergeFile(path, mine, base.get(path)?.text, theirs?.text)
    if (text !== undefined) written.set(path, { text, isExecutable: theirs?.isExecutable ?? false })
    const did = text === undefined ? 'left' : mine === undefined ? 'added' : 'merged'
    if (did !== 'left' || conflicts.length > 0) updates.push({ path, did, conflicts })
  }
  // All is merged before anything is written.
  if (!dryRun) await writeFiles(dir, written, signal)
  return updates
}

function isOneOf<Key extends string>(table: Readonly<Record<Key, unknown>>, value: unknown): value is Key {
  return typeof value === 'string' && Object.hasOwn(table, value)
}
