// Fuzzes what the native shim parses with libFuzzer, for as long as asked: npm run test:faults -- --shim [--minutes N]
// What it finds, and what it learned for the next time, is kept in node_modules/.cache/fuzz-shim.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync } from 'node:fs'
import { installDebianPackages, isInstalled } from './debian-packages.mjs'

const path = (name) => new URL(name, import.meta.url).pathname
const native = path('../packages/shim/src/native/')
const fuzz = path('../packages/shim/test/fuzz/')
const cache = path('../node_modules/.cache/fuzz-shim/')
const sanitizers = ['-fsanitize=fuzzer,address,undefined', '-fno-sanitize-recover=all']

/** @returns the exit code: of the first input that was too much, or 0 */
export function fuzzShim(args) {
  const given = args.includes('--minutes') ? args[args.indexOf('--minutes') + 1] : '3'
  const minutes = Number(given)
  if (!(minutes > 0)) {
    console.error(`test:faults: --minutes takes a number above zero, not ${JSON.stringify(given)}`)
    return 2
  }
  // The library of its fuzzer comes in a package of its own.
  const packages = ['clang', 'libclang-rt-dev'].map((name) => ({ command: 'clang', package: name }))
  installDebianPackages(packages, 'test:faults')
  if (!isInstalled('clang')) {
    console.error('test:faults: skipped: there is no clang')
    return 0
  }
  const targets = readdirSync(`${fuzz}corpus`)
  for (const target of targets) {
    const status = fuzzTarget(target, Math.ceil((minutes * 60) / targets.length))
    if (status !== 0) return status
  }
  return 0
}

function fuzzTarget(target, seconds) {
  const program = `${cache}${target}`
  const learned = `${cache}${target}-corpus`
  mkdirSync(learned, { recursive: true })
  const sources = readdirSync(native).filter((name) => name.endsWith('.c') && name !== 'main.c')
  const built = spawnSync(
    'clang',
    [
      ...['-std=c11', '-D_GNU_SOURCE', '-O1', '-g', ...sanitizers, '-o', program, `${fuzz}${target}.c`],
      ...sources.map((name) => native + name),
    ],
    { stdio: 'inherit' },
  )
  if (built.status !== 0) return 1
  console.log(`${target}: ${seconds} s`)
  const limits = [`-max_total_time=${seconds}`, '-max_len=70000', '-timeout=10', '-rss_limit_mb=1024']
  const report = [`-artifact_prefix=${cache}${target}-`, '-print_final_stats=1', '-verbosity=0']
  const { status } = spawnSync(program, [...limits, ...report, learned, `${fuzz}corpus/${target}`], {
    stdio: 'inherit',
  })
  return status ?? 1
}
