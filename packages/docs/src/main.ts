import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { writeApiReference } from './api-reference.ts'
import { assembleSite, siteDir } from './site.ts'
import { publishedPackages } from './workspace.ts'

// npm run docs: builds the site into dist/; with --serve it is shown on this machine then, at --port, 4173 by default.
const [...args] = process.argv.slice(2)

console.error('docs: making the reference from the sources')
await assembleSite()
await writeApiReference(publishedPackages(), join(siteDir, 'reference/api'))
console.error('docs: building the site')
vitepress('build')
if (args.includes('--serve')) vitepress('preview', ...args.filter((arg) => arg !== '--serve'))

function vitepress(...command: readonly string[]): void {
  const docs = new URL('..', import.meta.url).pathname
  const cli = join(docs, 'node_modules/vitepress/bin/vitepress.js')
  // Its own bundler reads its configuration: what runs this workspace's sources would be in its way.
  const { NODE_OPTIONS: _, ...env } = process.env
  const { status } = spawnSync(process.execPath, [cli, ...command], { cwd: docs, stdio: 'inherit', env })
  if (status !== 0) process.exit(status ?? 1)
}
