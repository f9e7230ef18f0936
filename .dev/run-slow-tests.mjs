// The tests that take minutes each: npm run test:slow -- [FILTER…]
import './setup.mjs'
import { runTests } from './run-tests.mjs'

process.exit(runTests(process.argv.slice(2)))
