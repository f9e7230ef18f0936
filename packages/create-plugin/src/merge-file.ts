import { mergeDiff3 } from 'node-diff3'
import { isObject, mergeJson } from './merge-json.ts'

/** What became of a file. `undefined` as text: it is to be as it is. */
export interface MergedFile {
  readonly text: string | undefined
  /** What a person has to look at, each in a phrase. */
  readonly conflicts: readonly string[]
}

/**
 * Takes over into `mine` what changed from `base` to `theirs`; undefined: there is no such file.
 * A conflict is marked in the text as git does, in JSON it is only told.
 */
export function mergeFile(
  path: string,
  mine: string | undefined,
  base: string | undefined,
  theirs: string | undefined,
): MergedFile {
  const unchanged = { text: undefined, conflicts: [] }
  if (theirs === base || theirs === mine) return unchanged
  if (theirs === undefined)
    return { text: undefined, conflicts: ["the template has it no longer: delete it if you don't need it"] }
  if (mine === undefined)
    return base === undefined
      ? { text: theirs, conflicts: [] }
      : { text: undefined, conflicts: ['the template changed it, and you have deleted it'] }
  if (mine === base) return { text: theirs, conflicts: [] }
  if (path.endsWith('.json')) {
    const merged = mergeJsonText(mine, base ?? '{}', theirs)
    if (merged) return merged
  }
  const merged = mergeDiff3(lines(mine), lines(base ?? ''), lines(theirs), {
    label: { a: 'yours', o: 'template before', b: 'template now' },
  })
  return { text: merged.result.join('\n'), conflicts: merged.conflict ? ['conflicts are marked in it'] : [] }
}

function mergeJsonText(mine: string, base: string, theirs: string): MergedFile | undefined {
  const [own, old, fresh] = [mine, base, theirs].map(parse)
  if (!isObject(own) || !isObject(old) || !isObject(fresh)) return undefined
  const { value, conflicts } = mergeJson(own, old, fresh)
  return {
    text: `${JSON.stringify(value, null, 2)}\n`,
    conflicts: conflicts.map((key) => `${key} was changed by you and by the template: yours stays`),
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const lines = (text: string) => text.split('\n')
