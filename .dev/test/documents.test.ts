import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const root = new URL('../..', import.meta.url).pathname
const read = (path: string) => readFileSync(join(root, path), 'utf8')

// The links of the documentation lead to pages that are made: packages/docs checks those.
test.each(['README.md', 'CONTRIBUTING.md', 'SECURITY.md'])('what %s links to is there', (document) => {
  const links = [...read(document).matchAll(/\]\((?!https:|#)([^)#]+)/g)].map(([, path = '']) => path)
  expect(links.filter((path) => !existsSync(join(root, document, '..', path)))).toEqual([])
})

test('what CONTRIBUTING.md says where to find is there', () => {
  const named = [
    ...read('CONTRIBUTING.md').matchAll(/`((?:packages|plugins|examples|\.dev|\.ci)\/[^`\s]*)`/g),
  ]
    .map(([, path = '']) => path)
    // What stands for a name, and what a build makes.
    .filter((path) => !/[A-Z]{2}|\/dist$/.test(path))
  expect(named.length).toBeGreaterThan(20)
  expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([])
})

test('the front page is a page', () => {
  expect(read('README.md').trimEnd().split('\n').length).toBeLessThanOrEqual(120)
})

test('each promise of SECURITY.md names its tests', () => {
  const tests = ['packages', 'plugins']
    .flatMap((parent) => readdirSync(join(root, parent)).map((name) => join(parent, name, 'test')))
    .filter((dir) => existsSync(join(root, dir)))
    .flatMap((dir) =>
      readdirSync(join(root, dir), { recursive: true, encoding: 'utf8' }).map((file) => join(dir, file)),
    )
    .filter((file) => file.endsWith('.test.ts'))
    .map(read)
    .join('')
  // A title, or the beginning of one that goes on with what differs: not words of a comment, or of another title.
  const isTitle = (text: string) =>
    ["'", '"', '`'].some((quote) =>
      [quote, ' ${', ' (${'].some((end) => tests.includes(`${quote}${text}${end}`)),
    )
  const [, promised = ''] = /\n## What is promised\n(.+?)\n## /s.exec(read('SECURITY.md')) ?? []
  const promises = [...promised.matchAll(/^\| (?!promise|---)(.+?) \| .+? \| (.+) \|$/gm)]
  expect(promises.length).toBeGreaterThan(5)
  for (const [, promise = '', named = ''] of promises) {
    const titles = [...named.matchAll(/"([^"]+)"/g)].map(([, title = '']) => title)
    expect(titles.length, promise).toBeGreaterThan(0)
    expect(
      titles.filter((title) => !isTitle(title)),
      promise,
    ).toEqual([])
  }
})
