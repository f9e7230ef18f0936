import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { project } from './podwire.ts'

/** What bash offers for the last of these words. */
function complete(dir: string, ...words: string[]): string[] {
  const script = `source ${join(dir, 'completion')}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _podwire; printf '%s\\n' "\${COMPREPLY[@]}"`
  const { stdout, stderr, status } = spawnSync('bash', ['-c', script, 'bash', 'podwire', ...words], {
    encoding: 'utf8',
  })
  expect([status, stderr]).toEqual([0, ''])
  return stdout.split('\n').filter((line) => line !== '')
}

test('bash completes commands, their flags and the words that a flag may be', () => {
  const first = project()
  const { dir } = project({ completion: first.podwire('completion', 'bash').stdout })
  const help = first.podwire('--help').stdout
  const commands = [...help.matchAll(/^ {2}([a-z]+)(?= )/gm)].map(([, name]) => name)
  expect(complete(dir, '')).toEqual(expect.arrayContaining(commands.filter((name) => name !== 'help')))
  expect(complete(dir, 'st')).toEqual(['status'])
  expect(complete(dir, 'config', '')).toEqual(expect.arrayContaining(['check', 'print', 'schema']))
  expect(complete(dir, 'run', '--ti')).toEqual(['--timeout'])
  expect(complete(dir, '--verbose', 'init', '--format', 'y')).toEqual(['yaml'])
  expect(complete(dir, 'completion', 'f')).toEqual(['fish'])
  // What follows the dashes is another command's.
  expect(complete(dir, 'run', '--', '--')).toEqual([])
})

test.each(['zsh', 'fish'])('%s gets every command and flag', (shell) => {
  const { stdout, status } = project().podwire('completion', shell)
  expect(status).toBe(0)
  for (const word of ['prune', 'schema', 'timeout', 'state-dir', 'yaml']) expect(stdout).toContain(word)
  const syntax = spawnSync(shell, ['-n'], { input: stdout, encoding: 'utf8' })
  if (!syntax.error) expect([syntax.status, syntax.stderr]).toEqual([0, ''])
})
