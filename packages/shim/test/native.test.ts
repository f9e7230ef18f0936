import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { useDaemons } from './daemon.ts'
import { configuration, environment, hasCompiler, hasPython, makeDir, script, useShim } from './shims.ts'

// What holds for the shim in C alone.

const source = new URL('../src/native/', import.meta.url).pathname
const fuzz = new URL('fuzz/', import.meta.url).pathname

describe.runIf(hasCompiler)('the native shim', () => {
  const dir = makeDir()
  afterAll(() => rmSync(dir, { recursive: true }))
  const daemons = useDaemons()
  const install = useShim('native')

  test('is hardened, and needs nothing of where it runs', async () => {
    const { path } = await install()
    const elf = readFileSync(path)
    const PT_DYNAMIC = 2
    const PT_INTERP = 3
    const PT_GNU_STACK = 0x6474e551
    const PT_GNU_RELRO = 0x6474e552
    const DT_NEEDED = 1n
    const [tableAt, entrySize, entries] = [
      Number(elf.readBigUInt64LE(32)),
      elf.readUInt16LE(54),
      elf.readUInt16LE(56),
    ]
    const segments = Array.from({ length: entries }, (_, index) => {
      const at = tableAt + index * entrySize
      const [offset, size] = [Number(elf.readBigUInt64LE(at + 8)), Number(elf.readBigUInt64LE(at + 32))]
      return { type: elf.readUInt32LE(at), flags: elf.readUInt32LE(at + 4), offset, size }
    })
    const types = segments.map(({ type }) => type)
    // Independent of its address.
    const ET_DYN = 3
    expect(elf.readUInt16LE(16)).toBe(ET_DYN)
    expect(types).toContain(PT_GNU_RELRO)
    expect(types).not.toContain(PT_INTERP)
    const executable = 1
    const writable = 2
    expect(segments.find(({ type }) => type === PT_GNU_STACK)?.flags).toBe(4 | writable)
    for (const { flags } of segments) expect(flags & (executable | writable)).not.toBe(executable | writable)
    const { offset = 0, size = 0 } = segments.find(({ type }) => type === PT_DYNAMIC) ?? {}
    for (let at = offset; at < offset + size; at += 16) expect(elf.readBigInt64LE(at)).not.toBe(DT_NEEDED)
    expect(elf.length).toBeLessThan(2_000_000)
  })

  test('is the same file when it is compiled again', () => {
    const [one = '', two = ''] = ['one', 'two'].map((name) => {
      const output = join(dir, name)
      expect(script('compile.mjs', process.arch, output)).toMatchObject({ status: 0 })
      return readFileSync(output, 'latin1')
    })
    expect(one === two).toBe(true)
  })

  test('does not wait for a reader that does not read', async () => {
    const shim = await install()
    await daemons.answering(shim.socket, () => ({ body: `"${'x'.repeat(1_000_000)}"` }))
    shim.configure({ socket: shim.socket, deadlineMs: 1000 })
    const child = spawn(shim.path, { env: environment('ADD'), stdio: ['pipe', 'pipe', 'inherit'] })
    child.stdout.pause()
    child.stdin.end(configuration)
    expect(await once(child, 'exit')).toEqual([1, null])
    child.stdout.destroy()
  })

  test.runIf(hasPython)('has its settings though an update replaces it while it starts', async () => {
    const shim = await install()
    const questions = await daemons.answering(shim.socket)
    copyFileSync(shim.path, `${shim.path}.new`)
    // Opened before it is replaced, and started after.
    const program = [
      'import os, sys',
      'path = sys.argv[1]',
      'fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)',
      'os.rename(path + ".new", path)',
      'os.execve(fd, [path], {"CNI_COMMAND": "ADD"})',
    ].join('\n')
    const child = spawn('python3', ['-c', program, shim.path], { stdio: ['ignore', 'ignore', 'inherit'] })
    expect(await once(child, 'exit')).toEqual([0, null])
    expect(questions).toHaveLength(1)
  })

  test.each(['answer', 'settings', 'environment', 'problem'])(
    'reads nothing beyond what came, whatever that is: %s',
    (target) => {
      const program = join(dir, `fuzz-${target}`)
      const sources = readdirSync(source).filter((name) => name.endsWith('.c') && name !== 'main.c')
      const flags = [
        '-std=c11',
        '-D_GNU_SOURCE',
        '-O1',
        '-g',
        '-fsanitize=address,undefined',
        '-fno-sanitize-recover=all',
      ]
      const built = spawnSync(
        'gcc',
        [
          ...flags,
          ...['-o', program, join(fuzz, `${target}.c`), join(fuzz, 'standalone.c')],
          ...sources.map((name) => source + name),
        ],
        { encoding: 'utf8' },
      )
      expect(built.stderr).toBe('')
      const corpus = join(fuzz, 'corpus', target)
      const inputs = readdirSync(corpus).map((name) => join(corpus, name))
      const { status, stdout, stderr } = spawnSync(program, ['20000', ...inputs], { encoding: 'utf8' })
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
      expect(Number(stdout)).toBeGreaterThan(20_000 * inputs.length)
    },
  )
})

test('a native shim that can not be compiled is left out, and told of', () => {
  const dir = makeDir()
  const output = join(dir, 'shim')
  const path = process.env['PATH']
  process.env['PATH'] = dir
  try {
    mkdirSync(join(dir, 'empty'))
    const left = script('compile.mjs', process.arch, output)
    expect(left).toEqual({
      status: 0,
      said: expect.stringMatching(/^shim: the native shim for \w+ is left out, as there is no gcc/),
    })
    expect(existsSync(output)).toBe(false)
    expect(script('compile.mjs', process.arch, output, '--release').status).toBe(1)
    expect(script('compile.mjs', 'mips', output).status).toBe(2)
  } finally {
    process.env['PATH'] = path
    rmSync(dir, { recursive: true })
  }
})
