import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { describeIsolated } from './sandbox.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const readme = readFileSync(join(root, 'README.md'), 'utf8')
/** The programs of the README, each a block that imports what it uses. */
const programs = [...readme.matchAll(/```ts\n(import[\s\S]*?)```/g)].map(([, program]) => program!)

/** Runs a program as a user's, in a directory where the package is installed. */
function run(program: string): string {
  const dir = mkdtempSync(join(tmpdir(), 'netlink-readme-'))
  try {
    mkdirSync(join(dir, 'node_modules/@podwire'), { recursive: true })
    symlinkSync(root, join(dir, 'node_modules/@podwire/netlink'))
    writeFileSync(join(dir, 'program.mts'), program)
    return execFileSync(
      process.execPath,
      ['--conditions=podwire-source', '--import', 'tsx', join(dir, 'program.mts')],
      { encoding: 'utf8', cwd: root, timeout: 20_000 },
    )
  } finally {
    rmSync(dir, { recursive: true })
  }
}

describeIsolated('the README', () => {
  it('has two programs', () => expect(programs).toHaveLength(2))

  it('connects a namespace', () => {
    execFileSync('ip', ['link', 'add', 'cbr0', 'type', 'bridge'])
    expect(run(programs[0]!)).toBe('')
    expect(
      execFileSync('ip', ['netns', 'exec', 'pod1', 'ip', '-br', 'link'], { encoding: 'utf8' }),
    ).not.toContain('eth0')
    execFileSync('ip', ['netns', 'del', 'pod1'])
  })

  it('builds a firewall, and hears what it denies', () => {
    execFileSync('ip', ['address', 'add', '192.0.2.1/24', 'dev', 'cbr0'])
    execFileSync('ip', ['link', 'set', 'cbr0', 'up'])
    expect(run(programs[1]!)).toBe('denied 192.0.2.8\n2\n')
    expect(execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' })).not.toContain('demo')
  })
})
