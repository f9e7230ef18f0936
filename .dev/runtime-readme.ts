// Tries the README of an example of a container runtime: what an operator of a machine of his own would type.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isIsolated } from '@podwire/testing'
import { expect, test } from 'vitest'
import { builtCommandLine } from './built-workspace.ts'
import { missingPrograms } from './missing-programs.ts'

interface RuntimeReadme {
  /** The directory of the example. */
  readonly example: string
  /** Those of its files that the commands use, beside the README. */
  readonly files: readonly string[]
  /** What must be installed. */
  readonly programs: readonly string[]
  /** What an init system or an administrator would have done before, as a shell script. */
  readonly before: string
  /** Looks at all that was printed. */
  check(printed: string): void
  /** Takes away what is left of the machine. */
  after?(): void
}

/** A test of the README's commands, in their order; skipped, and named, where that can't be. */
export function testRuntimeReadme({ example, files, programs, before, check, after }: RuntimeReadme): void {
  const missing = missingPrograms(...programs)
  const can = isIsolated() && missing.length === 0
  if (!can) console.warn(`${example}: skipped: it needs ${missing.join(', ') || 'namespaces'}`)

  test.skipIf(!can)('each command of the README works, in its order', { timeout: 240_000 }, async () => {
    const dir = mkdtempSync(join(tmpdir(), 'podwire-readme-'))
    try {
      mkdirSync(join(dir, 'bin'))
      // As it is published: with the executable for runtimes.
      writeFileSync(
        join(dir, 'bin/podwire'),
        `#!/bin/sh\nexec '${process.execPath}' '${builtCommandLine()}' "$@"\n`,
        { mode: 0o755 },
      )
      execFileSync('cp', [...['README.md', ...files].map((file) => join(example, file)), dir])
      const { code, printed } = await onOwnMachine(
        `${before}
        PATH='${dir}/bin':$PATH
        cd '${dir}'
        set -x
        ${commandsOf(example)}`,
      )
      check(printed)
      expect([code, code === 0 ? '' : printed]).toEqual([0, ''])
    } finally {
      after?.()
      rmSync(dir, { recursive: true, force: true })
    }
  })
}

function commandsOf(example: string): string {
  const readme = readFileSync(join(example, 'README.md'), 'utf8')
  const commands = [...readme.matchAll(/```sh run\n(.*?)```/gs)].map(([, text = '']) => text).join('')
  expect(commands.split('\n').length).toBeGreaterThan(8)
  return commands
}

/** Runs a script on a machine whose /etc and plugins are written to and gone afterwards, and so is whatever runs there. */
async function onOwnMachine(script: string): Promise<{ code: number; printed: string }> {
  const overlay = (dir: string, name: string) => `
    mkdir -p /run/m/${name} /run/m/${name}-work
    mount -t overlay overlay -o lowerdir=${dir},upperdir=/run/m/${name},workdir=/run/m/${name}-work ${dir}`
  const whole = `set -e${overlay('/etc', 'etc')}${overlay('/usr/lib/cni', 'cni')}\n${script}`
  const namespaces = ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc']
  const child = spawn('unshare', [...namespaces, 'sh', '-c', whole], { stdio: ['ignore', 'pipe', 'pipe'] })
  let printed = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      printed += chunk
    })
  const [code] = await once(child, 'exit')
  return { code, printed }
}
