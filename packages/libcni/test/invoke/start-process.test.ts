import { spawnSync } from 'node:child_process'
import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { loadPosixSpawn } from '../../src/invoke/posix-spawn.ts'
import type { StartProcess } from '../../src/invoke/running-process.ts'
import { startByNode, startProcess } from '../../src/invoke/start-process.ts'

const url = new URL('../../src/invoke/start-process.ts', import.meta.url).href
const runSource = ['--import', new URL('../../../../.dev/run-source.mjs', import.meta.url).pathname]

let directory = ''
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'start-'))
})
afterAll(() => rm(directory, { recursive: true }))

async function program(content: string, mode = 0o755): Promise<string> {
  const path = join(directory, `p${Math.random()}`)
  await writeFile(path, content)
  await chmod(path, mode)
  return path
}

const posixSpawn = loadPosixSpawn()
const starters: [string, StartProcess | undefined][] = [
  ['Node', startByNode],
  ['posix_spawn', posixSpawn],
]

describe.each(starters)('a program started by %s', (_, start) => {
  async function run(script: string, stdin = '', env: NodeJS.ProcessEnv = process.env) {
    if (!start) throw new Error('koffi is not installed')
    const { pid, stdout, stderr, ended } = await start(await program(`#!/bin/sh\n${script}\n`), stdin, env)
    const [out, errors, end] = await Promise.all([text(stdout), text(stderr), ended])
    return { pid, out, errors, end }
  }

  it('has its input, its output apart, and its exit code', async () => {
    const { out, errors, end } = await run('cat; echo no >&2; exit 3', 'ping')
    expect({ out, errors, end }).toEqual({ out: 'ping', errors: 'no\n', end: { exitCode: 3 } })
  })

  it.each(['KILL', 'TERM', 'PIPE', 'ABRT'] as const)(
    'ends by SIG%s, which it does not ignore',
    async (name) => {
      expect((await run(`kill -${name} $$; echo alive`)).end).toEqual({ signal: `SIG${name}` })
    },
  )

  it('has the environment that it was given, and no other', async () => {
    const { out } = await run('env', '', { A: '1', B: 'two words = 2', PATH: process.env['PATH'] })
    const lines = out.split('\n').filter((line) => /^[AB]|NODE/.test(line))
    expect(lines.sort()).toEqual(['A=1', 'B=two words = 2'])
  })

  it('leads a session and a process group of its own', async () => {
    const { pid, out } = await run('cut -d" " -f5,6 /proc/$$/stat')
    expect(out.trim()).toBe(`${pid} ${pid}`)
  })

  it('has no other files open, and no signal blocked', async () => {
    expect(
      (await run('ls /proc/$$/fd')).out
        .trim()
        .split('\n')
        .filter((fd) => Number(fd) < 10),
    ).toEqual(['0', '1', '2'])
    const { out } = await run('exec grep -E "SigBlk|SigIgn" /proc/self/status')
    expect(out.match(/0{16}/g)).toHaveLength(2)
  })

  it('is the shell where it names none, with its environment', async () => {
    if (!start) throw new Error('koffi is not installed')
    const { stdout, stderr, ended } = await start(await program('echo "$A"; exit 3\n'), '', { A: '1' })
    expect([await text(stdout), await text(stderr), await ended]).toEqual(['1\n', '', { exitCode: 3 }])
  })

  it('ends though others took the handlers of signals away', async () => {
    await run('exit 0')
    process.removeAllListeners('SIGCHLD')
    expect((await run('exit 5')).end).toEqual({ exitCode: 5 })
  })

  it('reads more than a pipe holds, and may leave it unread', async () => {
    const much = 'x'.repeat(3_000_000)
    expect((await run('wc -c', much)).out.trim()).toBe('3000000')
    expect((await run('exec <&-; sleep 0.05; exit 4', much)).end).toEqual({ exitCode: 4 })
  })

  it('runs beside a hundred others, each with an end of its own', async () => {
    const ends = await Promise.all(Array.from({ length: 100 }, (_, code) => run(`exit ${code}`)))
    expect(ends.map(({ end }) => end.exitCode)).toEqual(Array.from({ length: 100 }, (_, code) => code))
  })

  it.each([
    ['is not there', async () => join(directory, 'gone'), 'ENOENT'],
    ['may not run', () => program('#!/bin/sh\n', 0o644), 'EACCES'],
    ['is a directory', async () => directory, 'EACCES'],
  ])('that %s is refused, and leaves no file open', async (_, path, code) => {
    const files = async () => (await readdir('/proc/self/fd')).length
    const before = await files()
    await expect(start?.(await path(), 'x', {})).rejects.toMatchObject({ code, syscall: /^spawn/ })
    await vi.waitFor(async () => expect(await files()).toBeLessThanOrEqual(before))
  })
})

const eightTimes = `
  const { startProcess } = await import('${url}')
  for (let run = 0; run < 8; run++) {
    const { stdout, stderr, ended } = await startProcess('/bin/true', '', {})
    stdout.resume()
    stderr.resume()
    console.log((await ended).exitCode)
  }`

it.each([
  ['lets the process end when its programs have', eightTimes],
  [
    'stays with Node where koffi has no native part',
    `Object.defineProperty(process, 'arch', { value: 'pdp11' })${eightTimes}
    if (process.listenerCount('SIGCHLD') > 0) console.log('by posix_spawn')`,
  ],
  [
    'works in a worker, which hears of no signal',
    `import { Worker } from 'node:worker_threads'
    new Worker(${JSON.stringify(`(async () => {${eightTimes}})()`)}, { eval: true })`,
  ],
])('%s', (_, script) => {
  const args = [...runSource, '--input-type=module', '--eval', script]
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 20_000 })
  expect({ stdout, stderr, status }).toEqual({ stdout: '0\n'.repeat(8), stderr: '', status: 0 })
})

it('refuses a program for which no file is free, before and after it is quick', () => {
  const script = `
    import { openSync, closeSync } from 'node:fs'
    const { startProcess } = await import('${url}')
    const codes = []
    for (let run = 0; run < 8; run++) {
      const held = []
      if (run % 6 === 0) try { for (;;) held.push(openSync('/dev/null')) } catch {}
      await startProcess('/bin/true', '', {}).then(
        async ({ ended }) => codes.push((await ended).exitCode),
        ({ code }) => codes.push(code),
      )
      for (const fd of held) closeSync(fd)
    }
    console.log(codes.join())`
  const node = [process.execPath, ...runSource, '--input-type=module', '--eval', script]
  const { stdout, stderr } = spawnSync('sh', ['-c', 'ulimit -n 128; exec "$@"', 'sh', ...node], {
    encoding: 'utf8',
    timeout: 20_000,
  })
  expect({ stdout, stderr }).toEqual({ stdout: 'EMFILE,0,0,0,0,0,EMFILE,0\n', stderr: '' })
})

it('changes to the quick way after a few', async () => {
  const ends: unknown[] = []
  for (let run = 0; run < 8; run++) {
    const { stdout, stderr, ended } = await startProcess('/bin/true', '', {})
    for (const stream of [stdout, stderr] satisfies Readable[]) stream.resume()
    ends.push(await ended)
  }
  expect(ends).toEqual(Array.from({ length: 8 }, () => ({ exitCode: 0 })))
  expect(process.listenerCount('SIGCHLD')).toBeGreaterThan(0)
})
