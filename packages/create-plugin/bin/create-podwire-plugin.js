#!/usr/bin/env node
// In a checkout the sources run as they are; an installed package has no tsconfig.json and runs its build.
import { existsSync } from 'node:fs'

const inCheckout = existsSync(new URL('../tsconfig.json', import.meta.url))
await (inCheckout ? import('../../../.dev/run-source.mjs') : undefined)
const { main } = await import(inCheckout ? '../src/main.ts' : '../dist/main.js')
process.exitCode = await main(process.argv)
