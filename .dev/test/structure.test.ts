import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { expect, test } from 'vitest'

const root = new URL('../..', import.meta.url).pathname
const packages = ['packages', 'plugins']
  .flatMap((group) => readdirSync(join(root, group)).map((name) => join(group, name, 'src')))
  .filter((dir) => existsSync(join(root, dir)))

/** What each file of a directory imports from the same directory, below it. */
function importsIn(dir: string): { from: string; to: string }[] {
  const files = readdirSync(join(root, dir), { recursive: true, encoding: 'utf8' }).filter((file) =>
    /\.ts$/.test(file),
  )
  return files.flatMap((from) => {
    const text = readFileSync(join(root, dir, from), 'utf8')
    const imported = [...text.matchAll(/^(?:import|export|\} from)\b[^;'"`]*?['"](\.[^'"]+)['"]/gms)]
    return imported.map(([, to = '']) => ({ from, to: relative('.', join(dirname(from), to)) }))
  })
}

/** Files and folders side by side that import each other, by way of others perhaps. */
function circles(imports: readonly { from: string; to: string }[]): string[] {
  const edges = new Map<string, Set<string>>()
  for (const { from, to } of imports) {
    const [a, b] = [from.split(sep), to.split(sep)]
    const shared = a.findIndex((part, at) => part !== b[at])
    if (shared === -1 || b.length <= shared) continue
    const [one, other] = [a, b].map((parts) => parts.slice(0, shared + 1).join(sep)) as [string, string]
    edges.set(one, (edges.get(one) ?? new Set()).add(other))
  }
  const reach = (from: string, seen: Set<string>): Set<string> => {
    for (const to of edges.get(from) ?? [])
      if (!seen.has(to)) {
        seen.add(to)
        reach(to, seen)
      }
    return seen
  }
  return [...edges.keys()].filter((one) => reach(one, new Set()).has(one))
}

test.each(packages)('no two files or folders of %s import each other', (dir) => {
  expect(circles(importsIn(dir))).toEqual([])
})

test('two that do are found, also by way of a third', () => {
  const imports = [
    ['a/one.ts', 'b/two.ts'],
    ['b/three.ts', 'c.ts'],
    ['c.ts', 'a/four.ts'],
    ['a/one.ts', 'a/four.ts'],
    ['d.ts', 'a/one.ts'],
  ].map(([from = '', to = '']) => ({ from, to }))
  expect(circles(imports)).toEqual(['a', 'b', 'c.ts'])
})
