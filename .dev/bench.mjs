// Builds what is measured as it is published, then runs the benchmarks in namespaces of their own:
// npm run bench [NAME…] [-- --json]
import './setup.mjs'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isolated } from './namespace.mjs'

const path = (name) => new URL(name, import.meta.url).pathname
const options = { cwd: path('..'), stdio: ['ignore', 2, 2] }
const args = process.argv.slice(2)
const isWanted = (bench) => args.includes(bench) || args.every((arg) => arg.startsWith('-'))

run(path('../node_modules/.bin/turbo'), ['run', 'build', '--output-logs=errors-only'])
const installed = ['startup', 'daemon', 'runtime', 'cluster'].some(isWanted) ? install() : undefined

// Sources as they are would be compiled while the clock runs; Node runs the builds.
const bench = [process.execPath, '--import', 'tsx', path('../packages/bench/src/main.ts'), ...args]
const inNamespace = isolated(bench)
if (!inNamespace) console.error('bench: this kernel refuses network namespaces')
const [command, ...rest] = inNamespace ?? bench
const env = { ...process.env, ...(installed ? { PODWIRE_BENCH_INSTALLED: installed } : {}) }
const { status } = spawnSync(command, rest, { ...options, env, stdio: 'inherit' })
if (installed) rmSync(installed, { recursive: true })
process.exit(status ?? 1)

/** A directory with the command line as a user has it: from tarballs, by npm. */
function install() {
  const dir = mkdtempSync(join(tmpdir(), 'podwire-bench-'))
  const tarballs = join(dir, 'tarballs')
  const pack = ['--filter-prod', 'podwire...', 'pack', '--pack-destination', tarballs]
  run(path('../node_modules/.bin/pnpm'), ['--silent', ...pack])
  writeFileSync(join(dir, 'package.json'), '{"private": true}')
  // npm refuses those for another processor where they are asked for by name.
  const isForOthers = (name) => name.includes('-linux-') && !name.includes(`-linux-${process.arch}-`)
  const names = readdirSync(tarballs).filter((name) => !isForOthers(name))
  const packages = names.map((name) => join(tarballs, name))
  run('npm', ['install', '--prefix', dir, '--prefer-offline', '--no-audit', '--no-fund', ...packages])
  return dir
}

function run(command, args) {
  if (spawnSync(command, args, { ...options, stdio: ['ignore', 'ignore', 2] }).status !== 0) process.exit(1)
}
