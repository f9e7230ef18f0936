#!/usr/bin/env node
// In a checkout the sources run as they are; an installed package has no tsconfig.json and runs its build.
// To import from node:fs would have Node load its streams too.
const { existsSync } = process.getBuiltinModule('node:fs')

const inCheckout = existsSync(new URL('../tsconfig.json', import.meta.url))
await (inCheckout ? import('../../../.dev/run-source.mjs') : undefined)
const { main } = await import(inCheckout ? '../src/main.ts' : '../dist/main.js')
// At once: a timer that a plugin left running is nobody's work any more.
process.exit(await main(process.argv))
