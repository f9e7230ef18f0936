import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Page } from './markdown.ts'
import { commandPages } from './reference/command-line.ts'
import { configurationPage } from './reference/configuration.ts'
import { documentPages } from './reference/documents.ts'
import { errorPages } from './reference/errors.ts'
import { rulePages } from './reference/rules.ts'
import { publishedPackages } from './workspace.ts'

/** What people write. */
export const writtenPages = new URL('../pages/', import.meta.url).pathname
/** Where the whole site is put together; made anew by each build. */
export const siteDir = new URL('../.site/', import.meta.url).pathname

/** All pages that are made from the sources, those of the API apart. */
export async function referencePages(): Promise<Page[]> {
  const packages = publishedPackages()
  return [
    ...documentPages(packages),
    ...(await commandPages()),
    await configurationPage(),
    ...errorPages(packages),
    ...rulePages(),
  ]
}

/** Puts the written pages and the reference together in {@link siteDir}, with what its navigation lists. */
export async function assembleSite(): Promise<void> {
  rmSync(siteDir, { recursive: true, force: true })
  cpSync(writtenPages, siteDir, { recursive: true })
  const pages = await referencePages()
  for (const { path, text } of pages) {
    const file = join(siteDir, `${path}.md`)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
  }
  const lists = {
    commands: listed(pages, 'reference/commands/'),
    packages: publishedPackages().map(({ name, slug }) => ({ name, slug })),
  }
  writeFileSync(join(siteDir, 'navigation.json'), JSON.stringify(lists))
}

function listed(pages: readonly Page[], below: string): string[] {
  return pages
    .map(({ path }) => path)
    .filter((path) => path.startsWith(below) && !path.endsWith('/index'))
    .map((path) => path.slice(below.length))
}
