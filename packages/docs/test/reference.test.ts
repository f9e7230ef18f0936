import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, posix } from 'node:path'
import { cniRules } from '@podwire/testing/cni'
import { pluginRules } from '@podwire/testing/plugin'
import { createMarkdownRenderer } from 'vitepress'
import { beforeAll, expect, test } from 'vitest'
import { builtCommandLine } from '../../../.dev/built-workspace.ts'
import { writeApiReference } from '../src/api-reference.ts'
import { type Page, plain } from '../src/markdown.ts'
import { commandPath, commandsOf } from '../src/reference/command-line.ts'
import { configKeys } from '../src/reference/configuration.ts'
import { errorsOf } from '../src/reference/error-tables.ts'
import { referencePages, writtenPages } from '../src/site.ts'
import { publishedPackages, root } from '../src/workspace.ts'

let reference: readonly Page[]
let pages: ReadonlyMap<string, string>

beforeAll(async () => {
  reference = await referencePages()
  const written = readdirSync(writtenPages)
    .filter((name) => name.endsWith('.md'))
    .map((name) => ({ path: name.slice(0, -3), text: readFileSync(join(writtenPages, name), 'utf8') }))
  pages = new Map([...written, ...reference].map(({ path, text }) => [path, text]))
})

test('every code that a package can throw has a page with its message', () => {
  const codes = publishedPackages().flatMap(errorsOf)
  expect(codes.length).toBeGreaterThan(100)
  for (const { code, message } of codes) {
    const text = pages.get(/^[A-Z]/.test(code) ? `errors/${code}` : 'errors/system')
    expect(text, code).toContain(message)
    // A table that this can't read any more would give these.
    expect(message, code).toMatch(/^(?!\s*$)(?!<…>$)/)
  }
})

test('tables of errors are found wherever they are defined', () => {
  for (const { name, dir } of publishedPackages()) {
    const source = join(root, dir, 'src')
    // A package of a compiled program has none.
    if (!existsSync(source)) continue
    const defined = readdirSync(source, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && !file.endsWith('index.ts'))
      .map((file) => readFileSync(join(source, file), 'utf8'))
      .filter((text) => / = defineErrors\(/.test(text))
    expect(errorsOf({ ...packageCalled(name) }).length > 0, name).toBe(defined.length > 0)
  }
})

test('a note is about a code that there is', () => {
  const notes = readdirSync(new URL('../notes', import.meta.url)).map((file) => file.replace('.md', ''))
  expect(notes.filter((code) => !pages.has(`errors/${code}`))).toEqual([])
})

test('the page that the command line names for an error is there', () => {
  const dir = mkdtempSync(join(tmpdir(), 'podwire-docs-'))
  const args = [builtCommandLine(), 'status', '--json', '--config', 'none.json']
  const { stdout } = spawnSync(process.execPath, args, { cwd: dir, encoding: 'utf8' })
  rmSync(dir, { recursive: true })
  // The command line's own output, whose shape its tests check.
  const { errors } = JSON.parse(stdout) as { errors: { help: string }[] }
  const { pathname } = new URL(errors[0]?.help ?? '')
  const [, base] =
    /base: '(.*)'/.exec(readFileSync(new URL('../.vitepress/config.ts', import.meta.url), 'utf8')) ?? []
  expect(pathname.startsWith(`${base}errors/`)).toBe(true)
  expect(pages.has(pathname.slice(base?.length))).toBe(true)
})

test('every rule of both kits is listed with its sentence and its reason, under its own id', () => {
  for (const [rules, page] of [
    [pluginRules, 'plugin-rules'],
    [cniRules, 'cni-rules'],
  ] as const) {
    const text = pages.get(`reference/${page}`) ?? ''
    const ids = [...text.matchAll(/\{#(\S+)\}$/gm)].map(([, id]) => id)
    expect(new Set(ids).size).toBe(ids.length)
    for (const { id, sentence, reason } of rules) {
      expect(ids).toContain(id)
      expect(text).toContain(plain(sentence))
      expect(text).toContain(plain(reason))
    }
  }
})

test('every command has a page, with its flags and an example', async () => {
  const { commands } = await commandsOf()
  expect(commands.length).toBeGreaterThan(15)
  for (const one of commands) {
    const text = pages.get(commandPath(one)) ?? ''
    expect(text, one.name()).toMatch(/^#+ Example$/m)
    const leaves = one.commands.length > 0 ? one.commands : [one]
    for (const { long } of leaves.flatMap(({ options }) => options.filter(({ hidden }) => !hidden)))
      if (long) expect([text, pages.get('reference/commands/index')].join(), one.name()).toContain(long)
  }
})

test('every key of a configuration says what it is', async () => {
  const keys = await configKeys()
  expect(keys.map(({ path }) => path)).toEqual(
    expect.arrayContaining([
      'podCIDR',
      'deadlines.init',
      'plugins.kubenet.bridge',
      'plugins.cni.dns.servers',
      'plugins.exec.directory',
    ]),
  )
  expect(keys.filter(({ schema }) => !schema.description).map(({ path }) => path)).toEqual([])
})

test('every link within the site leads to a page, and to a heading of it', async () => {
  // Without its highlighter, which takes longer than all the rest.
  const markdown = await createMarkdownRenderer(writtenPages, { highlight: (text) => text })
  const found = [...pages].map(([path, text]) => {
    const tokens = markdown.parse(text.replace(/^---\n[\s\S]*?\n---\n/, ''), {
      path,
      relativePath: `${path}.md`,
    })
    const all = tokens.flatMap((token) => [token, ...(token.children ?? [])])
    return {
      path,
      ids: all.flatMap((token) => (token.type === 'heading_open' ? [token.attrGet('id')] : [])),
      links: all.flatMap((token) => (token.type === 'link_open' ? [token.attrGet('href') ?? ''] : [])),
    }
  })
  const headings = new Map(found.map(({ path, ids }) => [path, ids]))
  const dead = found.flatMap(({ path, links }) =>
    links
      .filter((link) => !/^[a-z]+:/.test(link) && !isThere(link, path, headings))
      .map((link) => `${path}: ${link}`),
  )
  expect(found.flatMap(({ links }) => links).length).toBeGreaterThan(200)
  expect(dead).toEqual([])
})

test('of what can be imported there is a page, and typedoc has nothing to complain of', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'podwire-docs-'))
  try {
    await writeApiReference(publishedPackages(), dir)
    expect(readdirSync(dir, { recursive: true, encoding: 'utf8' })).toEqual(
      expect.arrayContaining([expect.stringMatching(/libcni.*\.md$/), expect.stringMatching(/core.*\.md$/)]),
    )
  } finally {
    rmSync(dir, { recursive: true })
  }
})

test('what the navigation lists is there', () => {
  const config = readFileSync(new URL('../.vitepress/config.ts', import.meta.url), 'utf8')
  const links = [...config.matchAll(/link: '\/([^']*)'/g)].map(([, link = '']) =>
    link.replace(/\/$/, '/index'),
  )
  expect(links.length).toBeGreaterThan(10)
  expect(links.filter((link) => !pages.has(link) && link !== 'reference/api/index')).toEqual([])
})

/** Whether a link of a page leads somewhere; pages of the API are checked by the build. */
function isThere(
  link: string,
  from: string,
  headings: ReadonlyMap<string, readonly (string | null)[]>,
): boolean {
  const [path = '', anchor] = link.split('#')
  const target = path === '' ? from : posix.join(posix.dirname(from), path).replace(/\.md$/, '')
  if (target.startsWith('reference/api/')) return true
  const ids = headings.get(target)
  return ids !== undefined && (anchor === undefined || ids.includes(decodeURIComponent(anchor)))
}

function packageCalled(name: string) {
  const found = publishedPackages().find((one) => one.name === name)
  if (!found) throw new Error(`there is no package ${name}`)
  return found
}
