// Smoke tests on kernels, processors and C libraries that this machine isn't: npm run test:platforms -- [x64] [arm64] [musl]
import './setup.mjs'
import './run-source.mjs'

const { testPlatforms } = await import('./platforms/main.ts')
process.exit(await testPlatforms(process.argv.slice(2)))
