import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { writeApiReference } from './api-reference.ts'
import { assembleSite, siteDir } from './site.ts'
import { publishedPackages } from './workspace.ts'

// npm run docs: builds the site into dist/; with --serve it is shown on this machine then, at --port, 4173 by default.
const args = process.argv.slice(2)

console.error('docs: making the reference from the sources')
await assembleSite()
await writeApiReference(publishedPackages(), join(siteDir, 'reference/api'))
console.error('docs: building the site, which takes a minute or more')
const { status, output } = vitepress(['build'], 'pipe')
const said = output?.join('') ?? ''
process.stderr.write(said)
if (status !== 0) process.exit(1)
// The bundler warns, and goes on.
if (/\bwarn|^\(!\)/im.test(said)) fail('the build warned of something, see above')
if (args.includes('--serve')) {
  process.exitCode = vitepress(['preview', ...args.filter((arg) => arg !== '--serve')], 'inherit').status ?? 1
}

function vitepress(command: readonly string[], output: 'pipe' | 'inherit') {
  const docs = new URL('..', import.meta.url).pathname
  const cli = join(docs, 'node_modules/vitepress/bin/vitepress.js')
  return spawnSync(process.execPath, [cli, ...command], {
    cwd: docs,
    stdio: ['ignore', output, output],
    encoding: 'utf8',
  })
}

function fail(why: string): never {
  console.error(`docs: ${why}`)
  process.exit(1)
}
