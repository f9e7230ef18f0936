import { defineConfig } from 'vitest/config'

const condition = 'podwire-source'

export default defineConfig({
  root: new URL('..', import.meta.url).pathname,
  resolve: { conditions: [condition] },
  ssr: {
    resolve: { conditions: [condition], externalConditions: [condition] },
  },
  test: {
    include: ['{packages,plugins,examples}/*/test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    execArgv: [`--conditions=${condition}`],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    reporters: ['default', new URL('./count-reporter.mjs', import.meta.url).pathname],
    coverage: { include: ['{packages,plugins}/*/src/**'] },
  },
})
