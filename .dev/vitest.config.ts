import { defineConfig } from 'vitest/config'

const condition = 'podwire-source'

// Each test file is a process of its own, and where the kernel allows it, a network and a /run of its own: vitest forks
// whatever the path of node is.
if (process.env.PODWIRE_TEST_ISOLATED === '1') {
  process.env.PODWIRE_TEST_NODE = process.execPath
  process.execPath = new URL('isolated-node', import.meta.url).pathname
}

export default defineConfig({
  root: new URL('..', import.meta.url).pathname,
  resolve: { conditions: [condition] },
  ssr: {
    resolve: { conditions: [condition], externalConditions: [condition] },
  },
  test: {
    // From wherever it is told to look: the root, or one package.
    include: ['**/test/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/template/**'],
    pool: 'forks',
    maxWorkers: 2,
    execArgv: [`--conditions=${condition}`],
    testTimeout: 120_000,
    hookTimeout: 180_000,
    reporters: ['default', new URL('./count-reporter.mjs', import.meta.url).pathname],
    // The engine: see coverage.mjs.
    coverage: {
      include: ['packages/{core,libcni,netlink}/src/**/*.ts', 'plugins/kubenet/src/**/*.ts'],
      reporter: ['json-summary'],
      reportOnFailure: true,
    },
  },
})
