import { spawnSync } from 'node:child_process'
import { isIsolated } from '@podwire/testing'
import { describe, expect, test } from 'vitest'
import { bin, project } from './podwire.ts'

const shell = (dir: string, script: string, env: Record<string, string> = {}) =>
  spawnSync('bash', ['-c', script, process.execPath, bin], {
    cwd: dir,
    encoding: 'utf8',
    env: { ...process.env, ...env },
  })

test('nobody who reads on is no error', () => {
  const { dir } = project()
  const { stderr, stdout } = shell(dir, '"$0" "$1" config schema | true; echo $PIPESTATUS')
  expect(stderr).toBe('')
  expect(stdout).toBe('0\n')
})

test('a full disk behind stdout is one', () => {
  const { dir } = project()
  expect(shell(dir, '"$0" "$1" config print > /dev/full')).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('ENOSPC'),
  })
})

test('all of a long output arrives through a slow pipe', () => {
  const { dir } = project({ 'podwire.config.json': { plugins: { long: { text: 'x'.repeat(300_000) } } } })
  const { stdout } = shell(dir, '"$0" "$1" config print | (sleep 0.5; cat)')
  expect(JSON.parse(stdout).plugins.long.text).toHaveLength(300_000)
})

describe.skipIf(!isIsolated())('on a terminal', () => {
  // script(1) gives its command a terminal.
  const onTerminal = (dir: string, command: string, env: Record<string, string> = {}) =>
    shell(dir, `script -qec "$0 $1 ${command}" /dev/null`, { TERM: 'xterm', NO_COLOR: '', ...env }).stdout

  test('heads are bold, unless NO_COLOR or --no-color says otherwise', () => {
    const { dir } = project({ 'podwire.config.json': { stateDir: './state' } })
    expect(onTerminal(dir, 'plugins')).toContain('\u001b[1mNAME')
    expect(onTerminal(dir, 'plugins', { NO_COLOR: '1' })).not.toContain('\u001b[')
    expect(onTerminal(dir, 'plugins --no-color')).not.toContain('\u001b[')
    expect(onTerminal(dir, '--no-color plugins')).not.toContain('\u001b[')
  })
})
