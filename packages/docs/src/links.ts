import { existsSync, statSync } from 'node:fs'
import { join, posix } from 'node:path'
import { root } from './workspace.ts'

const repository = 'https://github.com/podwire/podwire'

/**
 * Leads the links of a document of the repository to pages of the site, and to the repository where there is none.
 * @param file the document, from the top of the repository
 * @param page where it stands on the site: `packages/libcni`
 * @param pages the page of each document that has one, both without a leading slash
 */
export function relinked(
  text: string,
  file: string,
  page: string,
  pages: ReadonlyMap<string, string>,
): string {
  return text.replace(/\]\((?!https?:|#|mailto:)([^)#\s]+)(#[^)\s]*)?\)/g, (_, path: string, anchor = '') => {
    const target = documentAt(posix.join(posix.dirname(file), path))
    const there = pages.get(target)
    if (there !== undefined) return `](${relative(page, there)}.md${anchor})`
    if (!existsSync(join(root, target))) throw new Error(`${file} links to ${path}, which isn't there`)
    return `](${repository}/${statSync(join(root, target)).isDirectory() ? 'tree' : 'blob'}/main/${target}${anchor})`
  })
}

/** A directory's document is its README. */
function documentAt(path: string): string {
  const readme = posix.join(path, 'README.md')
  return existsSync(join(root, readme)) ? readme : path
}

function relative(from: string, to: string): string {
  const path = posix.relative(posix.dirname(from), to)
  return path.startsWith('.') ? path : `./${path}`
}
