// Everything that must hold: formatting and lint, types, unused code, the tests, and the packages as published.
// With arguments it runs only the tests, and passes them on: npm test -- packages/core -t 'nearest key'
import { spawnSync } from 'node:child_process'
import { isolated } from './namespace.mjs'

const root = new URL('..', import.meta.url).pathname
const bin = (name) => `${root}node_modules/.bin/${name}`
const filters = process.argv.slice(2)

if (filters.length === 0) {
  step('format and lint', [bin('biome'), 'check'])
  step('types', [bin('tsc'), '-p', '.'])
  step('unused code', [bin('knip'), '--config', '.dev/knip.json', '--no-config-hints'])
}
const vitest = [bin('vitest'), 'run', '--config', '.dev/vitest.config.ts', ...filters]
const canIsolate = isolated([]) !== undefined
if (!canIsolate) console.error('test: this kernel refuses network namespaces: what needs one is skipped')
step('tests', vitest, { PODWIRE_TEST_ISOLATED: canIsolate ? '1' : '' })
if (filters.length === 0)
  step('packages as published', [bin('turbo'), 'run', 'lint:package', '--output-logs=errors-only'])

function step(name, [command, ...args], env = {}) {
  console.log(`\n== ${name}`)
  const options = { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] }
  const { status } = spawnSync(command, args, {
    ...options,
    env: { ...process.env, TURBO_TELEMETRY_DISABLED: '1', ...env },
  })
  if (status === 0) return
  console.error(`\n== ${name}: failed`)
  process.exit(1)
}
