import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { create } from '../src/create.ts'
import type { Files } from '../src/template.ts'

const bin = new URL('../bin/create-podwire-plugin.js', import.meta.url).pathname
let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'create-podwire-plugin-test-'))
})
afterEach(() => rmSync(dir, { recursive: true }))

const run = (...args: string[]) => spawnSync(process.execPath, [bin, ...args], { cwd: dir, encoding: 'utf8' })

describe('npm create podwire-plugin', () => {
  test('shows both names, writes the package, and says what is next', () => {
    const { status, stdout, stderr } = run('mine', '--name', 'acme.io/mysdn', '--kind', 'exec', '--yes')
    expect([status, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(
      /npm package +podwire-plugin-acme\.io__mysdn\nin a configuration +acme\.io\/mysdn\n/,
    )
    expect(stdout).toMatch(/cd mine\n +npm install\n/)
    expect(readdirSync(dir)).toEqual(['mine'])
    const script = join(dir, 'mine/exec/acme.io~mysdn/mysdn')
    expect(statSync(script).mode & 0o111).toBe(0o111)
    const written = readdirSync(join(dir, 'mine'), { recursive: true, encoding: 'utf8', withFileTypes: true })
    for (const entry of written.filter((one) => one.isFile()))
      expect(readFileSync(join(entry.parentPath, entry.name), 'utf8')).not.toContain('{{')
  })

  test('takes the directory for the name, and an empty one that is there already', () => {
    mkdirSync(join(dir, 'podwire-plugin-mysdn'))
    const before = statSync(join(dir, 'podwire-plugin-mysdn')).ino
    expect(run('podwire-plugin-mysdn', '--yes')).toMatchObject({ status: 0, stderr: '' })
    expect(statSync(join(dir, 'podwire-plugin-mysdn')).ino).toBe(before)
    expect(existsSync(join(dir, 'podwire-plugin-mysdn/package.json'))).toBe(true)
  })

  test('refuses a directory that is not empty, and a file, and leaves them alone', () => {
    mkdirSync(join(dir, 'full'))
    writeFileSync(join(dir, 'full/notes'), 'mine')
    expect(run('full', '--name', 'mysdn', '--yes')).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(
        /full is not empty: it has notes.*\n.*help: https:.*\/errors\/NOT_EMPTY\n$/,
      ),
    })
    expect(run('full/notes', '--name', 'mysdn', '--yes')).toMatchObject({ status: 2 })
    expect(readdirSync(join(dir, 'full'))).toEqual(['notes'])
    expect(readdirSync(dir)).toEqual(['full'])
  })

  test.each([
    [['x', '--name', 'My~Sdn', '--yes'], 'no "~"'],
    [['--yes'], '--name'],
    [['x', '--kind', 'vlan', '--yes'], "argument 'vlan' is invalid"],
  ])('%j is used wrongly, and nothing is written', (args, message) => {
    expect(run(...args)).toMatchObject({ status: 2, stderr: expect.stringContaining(message) })
    expect(readdirSync(dir)).toEqual([])
  })

  test('after Ctrl-C at a question nothing is there', async () => {
    // A terminal of its own, as a person has.
    // Without a width its lines would break anywhere.
    const command = `stty cols 100; ${process.execPath} ${bin}`
    const child = spawn('script', ['-qec', command, '/dev/null'], {
      cwd: dir,
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    let shown = ''
    let hasStopped = false
    child.stdout.on('data', (chunk) => {
      shown += chunk
      if (hasStopped || !shown.includes('What is the plugin called?')) return
      hasStopped = true
      child.stdin.write('\u0003')
    })
    const [code] = await once(child, 'close')
    expect(code).not.toBe(0)
    expect(readdirSync(dir)).toEqual([])
  })

  test('interrupted in the middle of writing it leaves nothing', async () => {
    const interrupted = new AbortController()
    const text = 'text'
    // The second file comes when the first one is written.
    const files = {
      *[Symbol.iterator]() {
        yield ['first', { text, isExecutable: false }] as const
        expect(readdirSync(dir)).not.toContain('mine')
        interrupted.abort(new Error('interrupted'))
        yield ['second', { text, isExecutable: false }] as const
      },
    } as unknown as Files
    await expect(create(join(dir, 'mine'), files, interrupted.signal)).rejects.toThrow('interrupted')
    expect(readdirSync(dir)).toEqual([])
  })
})
