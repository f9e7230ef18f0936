// How the tests in the virtual machine find what npm installed, and say what became of them.
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { release } from 'node:os'

export const project = '/srv/project'
const require = createRequire(`${project}/`)

/** A package of the project, as a program there imports it. */
export const installed = (name) => import(require.resolve(name))

/** A line that the other side reads: see vm.ts. */
export function report(line) {
  console.log(`@@ ${JSON.stringify(line)}`)
}

export function reportMachine() {
  const machine = {
    kernel: release(),
    node: process.versions.node,
    hasIpv6: existsSync('/proc/sys/net/ipv6'),
  }
  report({ machine })
  return machine
}

export async function test(name, run) {
  const started = performance.now()
  try {
    await run()
    report({ name, ms: Math.round(performance.now() - started) })
  } catch (error) {
    report({ name, ms: Math.round(performance.now() - started), error: `${error.message}` })
  }
}
