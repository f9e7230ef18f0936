import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineConfig } from 'vitest/config'

const condition = 'podwire-source'

// Each test file is a process of its own, and where the kernel allows it, a network and a /run of its own: vitest forks
// whatever the path of node is.
if (process.env.PODWIRE_TEST_ISOLATED === '1') {
  process.env.PODWIRE_TEST_NODE = process.execPath
  process.execPath = new URL('isolated-node', import.meta.url).pathname
}

// The packages as published, packed once for all tests that want them: packed-packages.ts does it, packed-directory.ts clears away.
process.env.PODWIRE_TEST_PACKED ??= join(tmpdir(), `podwire-packed-${process.pid}`)

// Minutes each: good plugins and templates with all rules, the guides' code.
// `npm run test:slow` runs these and no others.
const slow = [
  'packages/create-plugin/test/templates.test.ts',
  'packages/docs/test/code-blocks.test.ts',
  'packages/testing/test/cni/{good-plugins,kit}.test.ts',
  'packages/testing/test/plugin/readme.test.ts',
  'plugins/*/test/conformance.test.ts',
  'examples/plugin-*/test/**/*.test.ts',
  '**/test/**/*.slow.test.ts',
]
const isSlow = process.env.PODWIRE_TEST_SLOW === '1'

export default defineConfig({
  root: new URL('..', import.meta.url).pathname,
  resolve: { conditions: [condition] },
  ssr: {
    resolve: { conditions: [condition], externalConditions: [condition] },
  },
  test: {
    // From wherever it is told to look: the root, or one package.
    include: isSlow ? slow : ['**/test/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/template/**', ...(isSlow ? [] : slow)],
    globalSetup: new URL('packed-directory.ts', import.meta.url).pathname,
    pool: 'forks',
    maxWorkers: 2,
    execArgv: [`--conditions=${condition}`],
    // Real kernels and processes on a machine that others use too. A test that needed it is named at the end, as it is a defect.
    retry: 1,
    testTimeout: 120_000,
    hookTimeout: 180_000,
    // A second is not long on a busy machine.
    expect: { poll: { timeout: 30_000 } },
    reporters: ['default', new URL('./count-reporter.mjs', import.meta.url).pathname],
    // The engine: see coverage.mjs.
    coverage: {
      include: ['packages/{core,libcni,netlink,daemon,client}/src/**/*.ts', 'plugins/kubenet/src/**/*.ts'],
      reporter: ['json-summary'],
      reportOnFailure: true,
    },
  },
})
