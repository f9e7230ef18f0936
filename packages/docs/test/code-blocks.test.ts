import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { isIsolated } from '@podwire/testing'
import { afterEach, describe, expect, test } from 'vitest'
import { markedBlocks } from '../src/code-blocks.ts'
import { writtenPages } from '../src/site.ts'
import { publishedPackages, root } from '../src/workspace.ts'

const pages = readdirSync(writtenPages)
  .filter((name) => name.endsWith('.md'))
  .map((name) => ({ name, blocks: markedBlocks(readFileSync(join(writtenPages, name), 'utf8')) }))
  .filter(({ blocks }) => blocks.length > 0)

const made: string[] = []
afterEach(() => {
  for (const dir of made.splice(0)) rmSync(dir, { recursive: true })
})

/** A directory where the packages are installed, and a shell in it. */
function project() {
  const dir = mkdtempSync(join(tmpdir(), 'podwire-docs-'))
  made.push(dir)
  for (const { name, dir: source } of publishedPackages()) {
    const link = join(dir, 'node_modules', name)
    mkdirSync(dirname(link), { recursive: true })
    symlinkSync(join(root, source), link)
  }
  const bin = join(dir, 'node_modules/.bin')
  mkdirSync(bin)
  symlinkSync(join(root, 'packages/cli/bin/podwire.js'), join(bin, 'podwire'))
  // What npx does with a package that is installed, without the second that it takes.
  writeFileSync(join(bin, 'npx'), '#!/bin/sh\nexec "$@"\n', { mode: 0o755 })
  const env = {
    ...process.env,
    PATH: [bin, dirname(process.execPath), process.env['PATH']].join(delimiter),
    NODE_OPTIONS: `--import ${root}.dev/run-source.mjs`,
  }
  const sh = (command: string) => spawnSync('sh', ['-c', command], { cwd: dir, env, encoding: 'utf8' })
  return { dir, sh }
}

/** Output without what differs from machine to machine: numbers, addresses, the width of columns. */
const shape = (output: string) =>
  output
    .trimEnd()
    .replace(/[0-9a-f]*(?:[.:]+[0-9a-f]+)+|\d+/g, 'N')
    .replace(/ +$/gm, '')
    .replace(/ +/g, ' ')

test('the guides have blocks that run', () => {
  const running = pages.filter(({ blocks }) => blocks.some(({ kind }) => kind === 'commands'))
  expect(running.map(({ name }) => name).sort()).toEqual([
    'cni-library.md',
    'netlink.md',
    'operators.md',
    'plugin-authors.md',
    'start.md',
  ])
})

describe.skipIf(!isIsolated())('what is shown as run does run', () => {
  for (const { name, blocks } of pages) {
    const canRun = name !== 'cni-library.md' || existsSync('/usr/lib/cni/bridge')
    test.skipIf(!canRun)(name, { timeout: 600_000 }, () => {
      const { dir, sh } = project()
      for (const block of blocks) {
        if (block.kind === 'file') {
          const file = join(dir, block.name)
          mkdirSync(dirname(file), { recursive: true })
          writeFileSync(file, block.text)
          // tsx would run syntax that the oldest Node doesn't know.
          if (/\.m?js$/.test(file))
            expect(spawnSync(process.execPath, ['--check', file]).stderr.toString()).toBe('')
          continue
        }
        // The round trip of create-podwire-plugin follows those that need a registry.
        if (block.kind !== 'commands') continue
        for (const { command, output } of block.commands) {
          const { status, stdout, stderr } = sh(command)
          expect(`${command}: ${status}${status === 0 ? '' : ` ${stdout}${stderr}`}`).toBe(`${command}: 0`)
          if (output !== undefined) expect(shape(stdout), command).toBe(shape(output))
        }
      }
    })
  }
})
