// Runs the tests on each Node that is supported, one line for each:
// npm run test:matrix -- [--node 26] [FILTER…]
import './setup.mjs'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { runTests } from './run-tests.mjs'

const supported = ['20', '22', '24', '26']
const cache = new URL('../node_modules/.cache/node/', import.meta.url).pathname
const { versions, filters } = parse(process.argv.slice(2))

let failed = false
for (const version of versions) {
  const node = install(version)
  const log = `${cache}${version}.log`
  const start = Date.now()
  const status = node && runTests(filters, { node, output: openSync(log, 'w') })
  const output = node ? readFileSync(log, 'utf8') : ''
  const counts = /^\d+ passed, \d+ failed, \d+ skipped$/m.exec(output)?.[0] ?? 'no test has run'
  const seconds = Math.round((Date.now() - start) / 1000)
  console.log(`node ${version}: ${counts} (${seconds} s)`)
  if (status === 0) continue
  failed = true
  for (const [line] of output.matchAll(/^.*(?:FAIL|Error:) .*$/gm)) console.error(line)
  if (node) console.error(`node ${version}: exit code ${status}; the whole output is in ${log}`)
}
process.exit(failed ? 1 : 0)

function parse(args) {
  const versions = []
  const filters = []
  for (let i = 0; i < args.length; i++) {
    if (args[i] === '--node') versions.push(args[++i] ?? '')
    else filters.push(args[i])
  }
  const unknown = versions.find((version) => !supported.includes(version))
  if (unknown !== undefined) {
    console.error(`test:matrix: --node takes one of ${supported.join(', ')}, not ${JSON.stringify(unknown)}`)
    process.exit(2)
  }
  return { versions: versions.length > 0 ? versions : supported, filters }
}

/** The path of a Node of that major version, taken from npm once; undefined where that fails. */
function install(version) {
  const dir = `${cache}${version}`
  const name = `node-linux-${process.arch}`
  const node = `${dir}/node_modules/${name}/bin/node`
  if (existsSync(node)) return node
  mkdirSync(dir, { recursive: true })
  const args = ['install', '--prefix', dir, '--no-save', '--no-package-lock', '--no-audit', '--no-fund']
  const { status } = spawnSync('npm', [...args, '--loglevel=error', `${name}@${version}`], {
    stdio: ['ignore', 2, 2],
  })
  if (status === 0) return node
  console.error(`test:matrix: npm could not install ${name}@${version}`)
  return undefined
}
