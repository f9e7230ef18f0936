// Runs the tests, each file in namespaces of its own where the kernel allows it.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { isolated } from './namespace.mjs'

/** Whether the kernel allows it; where it doesn't, what needs namespaces is skipped. */
export const canIsolate = isolated([]) !== undefined
const path = (name) => new URL(name, import.meta.url).pathname

/**
 * @param args what vitest takes: names of files, `-t NAME`, …
 * @param options.node the Node that runs the tests, and all that they start
 * @param options.output where their output goes: 'inherit', or a file descriptor
 * @returns the exit code
 */
export function runTests(args, { node = process.execPath, output = 'inherit' } = {}) {
  if (!canIsolate) console.error('test: this kernel refuses network namespaces: what needs one is skipped')
  const vitest = [path('../node_modules/vitest/vitest.mjs'), 'run', '--config', path('vitest.config.ts')]
  // What the tests leave behind in it goes with it.
  const temporary = mkdtempSync(join(tmpdir(), 'podwire-test-'))
  try {
    const { status } = spawnSync(node, [...vitest, ...args], {
      stdio: ['ignore', output, output],
      env: {
        ...process.env,
        PATH: `${dirname(node)}:${process.env.PATH}`,
        TMPDIR: temporary,
        PODWIRE_TEST_ISOLATED: canIsolate ? '1' : '',
      },
    })
    return status ?? 1
  } finally {
    rmSync(temporary, { recursive: true, force: true, maxRetries: 3 })
  }
}
