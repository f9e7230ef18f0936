// Takes random steps against host and kubenet for as long as asked: npm run test:faults -- --minutes 30 [--seed N]
// With --daemon it kills the daemon under load instead, as often as is promised.
import { spawnSync } from 'node:child_process'
import { isolated } from './namespace.mjs'
import { runTests } from './run-tests.mjs'

if (process.argv.includes('--daemon')) {
  process.env.PODWIRE_FAULTS = 'all'
  process.exit(
    runTests(['packages/cli/test/daemon-killed.test.ts', 'packages/cli/test/daemon-faults.test.ts']),
  )
}

const path = (name) => new URL(name, import.meta.url).pathname
const command = isolated([
  process.execPath,
  '--import',
  path('run-source.mjs'),
  path('../packages/faults/src/main.ts'),
  ...process.argv.slice(2),
])
if (!command) {
  console.error(
    'test:faults: this kernel refuses network namespaces; run it as root, or where user namespaces are allowed',
  )
  process.exit(1)
}
const { status } = spawnSync(command[0], command.slice(1), { stdio: 'inherit' })
process.exit(status ?? 1)
