import { defineConfig } from 'vitest/config'

const condition = 'podwire-source'

// Each test file is a process of its own, and where the kernel allows it, a network and a /run of its own: vitest forks
// whatever the path of node is.
if (process.env.PODWIRE_TEST_ISOLATED === '1') {
  process.env.PODWIRE_TEST_NODE = process.execPath
  process.execPath = new URL('isolated-node', import.meta.url).pathname
}

// Minutes each: a registry with all packages published to it, every rule of the CNI kit on many plugins, random steps against the
// whole machine. `npm run test:slow` runs these and no others.
const slow = [
  'packages/create-plugin/test/**/*.test.ts',
  'packages/faults/test/**/*.test.ts',
  'packages/testing/test/{cni,plugin}/**/*.test.ts',
  'packages/docs/test/code-blocks.test.ts',
  'plugins/*/test/conformance.test.ts',
  'examples/plugin-*/test/**/*.test.ts',
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
    pool: 'forks',
    maxWorkers: 2,
    execArgv: [`--conditions=${condition}`],
    // Real kernels and processes on a shared machine: what fails three times in a row has failed.
    retry: 2,
    testTimeout: 120_000,
    hookTimeout: 180_000,
    reporters: ['default', new URL('./count-reporter.mjs', import.meta.url).pathname],
    // The engine: see coverage.mjs.
    coverage: {
      include: ['packages/{core,libcni,netlink,daemon,client}/src/**/*.ts', 'plugins/kubenet/src/**/*.ts'],
      reporter: ['json-summary'],
      reportOnFailure: true,
    },
  },
})
