import { isDeepStrictEqual } from 'node:util'

type Json = Readonly<Record<string, unknown>>

/** What a merge came to, and the keys that both sides changed: there the package keeps its own. */
export interface MergedJson {
  readonly value: Record<string, unknown>
  readonly conflicts: readonly string[]
}

/** Takes over what changed from `base` to `theirs`, key by key. */
export function mergeJson(mine: Json, base: Json, theirs: Json, path = ''): MergedJson {
  const conflicts: string[] = []
  const value: Record<string, unknown> = {}
  for (const key of new Set([...Object.keys(mine), ...Object.keys(theirs)])) {
    const [own, old, fresh] = [mine[key], base[key], theirs[key]]
    let chosen = own
    if (isDeepStrictEqual(own, old)) chosen = fresh
    else if (isObject(own) && isObject(fresh)) {
      const merged = mergeJson(own, isObject(old) ? old : {}, fresh, `${path}${key}.`)
      chosen = merged.value
      conflicts.push(...merged.conflicts)
    } else if (!isDeepStrictEqual(fresh, old) && !isDeepStrictEqual(fresh, own)) conflicts.push(path + key)
    if (chosen !== undefined) value[key] = chosen
  }
  return { value, conflicts }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
