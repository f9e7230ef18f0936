// Everything that must hold: formatting, lint, types and unused code; the tests, and what they cover; the packages as published.
// With arguments it runs only the tests, and passes them on: npm test -- packages/core -t 'nearest key'
// Inside a package it runs that package's tests, with or without arguments.
import './setup.mjs'
import { spawnSync } from 'node:child_process'
import { relative } from 'node:path'
import { judgeCoverage } from './coverage.mjs'
import { canIsolate, runTests } from './run-tests.mjs'

const root = new URL('..', import.meta.url).pathname
const workspacePackage = relative(root, process.cwd())
const filters = process.argv.slice(2)

if (workspacePackage !== '') process.exit(runTests(['--dir', process.cwd(), ...filters]))
if (filters.length > 0) process.exit(runTests(filters))

step('check', () => command('npm', ['run', '--silent', 'check']))
step('tests', () => runTests(canIsolate ? ['--coverage'] : []))
// Half of the tests say nothing of what the tests cover.
if (canIsolate) step('coverage', judgeCoverage)
step('packages as published', () =>
  command(`${root}node_modules/.bin/turbo`, ['run', 'lint:package', '--output-logs=errors-only']),
)

/** Runs one step, which returns an exit code, and ends everything where it fails. */
function step(name, run) {
  console.log(`\n== ${name}`)
  if (run() === 0) return
  console.error(`\n== ${name}: failed`)
  process.exit(1)
}

function command(file, args) {
  const env = { ...process.env, TURBO_TELEMETRY_DISABLED: '1' }
  return spawnSync(file, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], env }).status ?? 1
}
