// Takes random steps against host and kubenet for as long as asked: npm run test:faults -- --minutes 30 [--seed N]
// With --attacks it carries out the attacks instead, with --daemon it kills the daemon under load, with --cni a container runtime's
// plugin too, and with --cluster it cuts nodes off from each other and from etcd, as often as is promised.
// With --shim it puts the native CNI shim, compiled with sanitizers, to its tests, and then fuzzes what it parses:
// npm run test:faults -- --shim [--minutes N]
import { spawnSync } from 'node:child_process'
import { fuzzShim } from './fuzz-shim.mjs'
import { isolated } from './namespace.mjs'
import { runTests } from './run-tests.mjs'

const args = process.argv.slice(2)
const path = (name) => new URL(name, import.meta.url).pathname

const suites = {
  '--attacks': ['packages/faults/test/attack'],
  '--cluster': ['packages/cluster/test/faults', 'packages/cluster/test/nodes'],
  '--daemon': ['packages/cli/test/daemon-killed.test.ts', 'packages/cli/test/daemon-faults.test.ts'],
  '--cni': ['packages/cli/test/cni-killed.test.ts'],
}
const chosen = Object.keys(suites).filter((flag) => args.includes(flag))

process.exit(run())

function run() {
  if (args.includes('--shim')) {
    const tests = ['calls', 'bad-input', 'journal'].map((name) => `packages/shim/test/${name}.test.ts`)
    return runWhole(tests) || fuzzShim(args)
  }
  return chosen.length > 0 ? runWhole(chosen.flatMap((flag) => suites[flag])) : takeSteps()
}

/** The tests that `npm test` runs a part of, with all their rounds. */
function runWhole(files) {
  process.env.PODWIRE_FAULTS = 'all'
  return runTests(files)
}

function takeSteps() {
  const main = path('../packages/faults/src/main.ts')
  const command = isolated([process.execPath, '--import', path('run-source.mjs'), main, ...args])
  if (!command) {
    console.error(
      'test:faults: this kernel refuses network namespaces; run it as root, or where user namespaces are allowed',
    )
    return 1
  }
  const { status, signal, error } = spawnSync(command[0], command.slice(1), { stdio: 'inherit' })
  if (error) console.error(`test:faults: it could not be started: ${error.message}`)
  if (signal)
    console.error(`test:faults: it was ended by ${signal}; the seed above makes the same steps again`)
  return status ?? 1
}
