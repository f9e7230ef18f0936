import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { isIsolated } from '../../src/netns.ts'
import {
  exitCodeOf,
  formatBadge,
  formatReport,
  type PluginReport,
  runPluginConformance,
} from '../../src/plugin/index.ts'
import { type Compiled, compiled } from './compiled.ts'

const manifest = {
  name: 'podwire-plugin-good.test__ptp',
  version: '1.2.3',
  type: 'module',
  podwire: { apiVersion: 1 },
}

let files: Compiled
beforeAll(async () => {
  files = await compiled()
})
afterAll(() => files.remove())

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'podwire-conformance-'))
  await writeFile(join(dir, 'package.json'), JSON.stringify(manifest))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

/** A package whose plugin is the good one with these methods, in JavaScript. */
async function write(methods: string, start = ''): Promise<void> {
  const text = `import { spawnSync } from 'node:child_process'
import { variant } from '${files.plugin('good')}'
${start}
export default variant(() => ({ ${methods} }))`
  await writeFile(join(dir, 'index.js'), text)
}

describe.runIf(isIsolated())('a conformance run', { timeout: 300_000 }, () => {
  test('passes a good plugin in all that it tries', async () => {
    const report = await runPluginConformance({ dir: new URL('.', import.meta.url) })
    expect(report.results.filter(({ outcome }) => outcome !== 'passed')).toEqual([])
    expect(exitCodeOf(report)).toBe(0)
  })

  test('outlives a plugin that kills its process, and goes on with the rules after', async () => {
    await write('async setUpPod() { process.kill(process.pid, "SIGKILL") }')
    const rules = ['set-up', 'event-unknown', 'status-before', 'no-exit']
    const { results } = await files.kit.runPluginConformance({ dir, rules })
    expect(results.map(({ rule, outcome }) => [rule, outcome])).toEqual([
      ['set-up', 'failed'],
      ['status-before', 'passed'],
      ['event-unknown', 'failed'],
      ['no-exit', 'failed'],
    ])
    expect(results[0]?.seen).toMatch(/the process ended with .* during setUpPod\(conformance\/pod-1\)/)
  })

  test('outlives a plugin that ends the process as it is imported', async () => {
    await write('', 'process.kill(process.pid, "SIGKILL")')
    const { results } = await files.kit.runPluginConformance({ dir, rules: ['manifest', 'import'] })
    expect(results.map(({ outcome }) => outcome)).toEqual(['passed', 'failed'])
  })

  test('ends a plugin that blocks the event loop', async () => {
    await write('async setUpPod() { for (;;); }')
    const rules = ['set-up']
    const { results } = await files.kit.runPluginConformance({
      dir,
      rules,
      deadlineMs: 2_000,
      graceMs: 1_000,
    })
    expect(results[0]?.seen).toMatch(/during setUpPod\(.*its event loop was blocked/)
  })

  test('says which call never ends', async () => {
    await write('setUpPod: () => new Promise(() => {})')
    const rules = ['set-up']
    const { results } = await files.kit.runPluginConformance({ dir, rules, deadlineMs: 5_000, graceMs: 500 })
    expect(results[0]?.seen).toMatch(/setUpPod.* had not ended 500 ms after the deadline of 5000 ms/)
  })

  test('hears what a child process prints to the host’s stdout', async () => {
    await write('async setUpPod() { spawnSync("echo", ["by a child"], { stdio: "inherit" }) }')
    const { results } = await files.kit.runPluginConformance({ dir, rules: ['set-up', 'quiet-stdout'] })
    expect(results[1]).toMatchObject({ outcome: 'failed', seen: expect.stringContaining('by a child') })
  })
})

test.each([
  [{ rules: ['tear-dwon'] }, /no rule "tear-dwon"\. There are: manifest, /],
  [{ dir: '/nowhere' }, /No plugin package: \/nowhere\/package.json: ENOENT/],
])('refuses %j, with exit code 2', async (options, message) => {
  const run = runPluginConformance({ dir, ...options })
  await expect(run).rejects.toMatchObject({ exitCode: 2, message: expect.stringMatching(message) })
})

describe('a report', () => {
  const failed = {
    rule: 'tear-down',
    group: 'pods',
    sentence: 'It takes all away.',
    reason: 'It adds up.',
    outcome: 'failed',
    did: ['setUpPod(a/b)', 'tearDownPod(a/b)'],
    seen: 'left behind: \u001b[31mlink',
    milliseconds: 7,
  } as const
  const report: PluginReport = {
    packageName: 'podwire-plugin-x',
    version: '1.0.0',
    dir: '/x',
    passed: 3,
    failed: 1,
    skipped: 0,
    results: [failed],
    milliseconds: 1_234,
  }

  test('shows rule, reason, what was done and what was seen, and nothing that a terminal obeys', () => {
    expect(formatReport(report)).toContain(`✗ tear-down
  rule     It takes all away.
  because  It adds up.
  done     setUpPod(a/b)
           tearDownPod(a/b)
  seen     left behind: \\u001b[31mlink

3 passed, 1 failed, 0 skipped in 1.2 s`)
    expect(exitCodeOf(report)).toBe(1)
  })

  test('is a badge', () => {
    expect(formatBadge(report)).toContain('podwire plugin: 1 of 4 rules broken')
    expect(formatBadge({ ...report, failed: 0 })).toMatch(/^<svg .*3 rules kept.*<\/svg>\n$/s)
  })
})
