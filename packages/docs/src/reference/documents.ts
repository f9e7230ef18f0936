import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { relinked } from '../links.ts'
import type { Page } from '../markdown.ts'
import { root, type WorkspacePackage } from '../workspace.ts'

/** The README of each package and SECURITY.md, as pages: their text stands where its code does, and nowhere twice. */
export function documentPages(packages: readonly WorkspacePackage[]): Page[] {
  const documents = new Map([
    ...packages.map(({ dir, slug }) => [`${dir}/README.md`, `packages/${slug}`] as const),
    ['SECURITY.md', 'security'] as const,
  ])
  // Documents of the repository may link to pages of the site, too.
  const pages = new Map([
    ...documents,
    ['README.md', 'start'] as const,
    ...['cni-conformance', 'figures', 'kubelet', 'plugin-authors'].map(
      (name) => [`packages/docs/pages/${name}.md`, name] as const,
    ),
  ])
  return [...documents].map(([file, path]) => ({
    path,
    text: withSourceLink(relinked(readFileSync(join(root, file), 'utf8'), file, path, pages), file),
  }))
}

/** The link under the page leads to the document, not to its copy. */
function withSourceLink(text: string, file: string): string {
  return `---\nsource: ${file}\n---\n\n${text}`
}
