// Builds what is measured as it is published, then runs the benchmarks in namespaces of their own:
// npm run bench [NAME…] [-- --json]
import './setup.mjs'
import { spawnSync } from 'node:child_process'
import { isolated } from './namespace.mjs'

const path = (name) => new URL(name, import.meta.url).pathname
const options = { cwd: path('..'), stdio: ['ignore', 2, 2] }
const build = spawnSync(
  path('../node_modules/.bin/turbo'),
  ['run', 'build', '--output-logs=errors-only'],
  options,
)
if (build.status !== 0) process.exit(1)

// Sources as they are would be compiled while the clock runs; Node runs the builds.
const bench = [
  process.execPath,
  '--import',
  'tsx',
  path('../packages/bench/src/main.ts'),
  ...process.argv.slice(2),
]
const inNamespace = isolated(bench)
if (!inNamespace) console.error('bench: this kernel refuses network namespaces')
const [command, ...args] = inNamespace ?? bench
process.exit(spawnSync(command, args, { ...options, stdio: 'inherit' }).status ?? 1)
