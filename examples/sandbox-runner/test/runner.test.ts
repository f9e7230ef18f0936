import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { isIsolated } from '@podwire/testing'
import { describe, expect, test } from 'vitest'

const example = new URL('..', import.meta.url).pathname
const [, commands = ''] = /```sh\n(.*?)```/s.exec(readFileSync(`${example}README.md`, 'utf8')) ?? []

const { scripts } = JSON.parse(readFileSync(`${example}package.json`, 'utf8'))
const [, ...start] = scripts.start.split(' ')

// Collects garbage all the time, so that what nobody holds is gone before its time comes.
const collecting = ['--expose-gc', '--import', 'data:text/javascript,setInterval(gc, 100).unref()']

// Answers one request with its name, and ends.
const serveOnce = `require('http').createServer((q, s) => s.end(process.env.JOB + ' as ' + process.getuid(), () => process.exit(0))).listen(process.env.PORT)`

function observe(child: ChildProcessByStdio<null, Readable, Readable>) {
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk))
  return { child, output: () => output }
}

const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe']

/** What `npm start -- ARGS` runs. */
const run = (...args: string[]) =>
  observe(spawn(process.execPath, [...collecting, ...start, ...args], { cwd: example, stdio }))

async function fetchWhenUp(url: string, child: ChildProcess): Promise<string> {
  for (;;) {
    const text = await fetch(url).then(
      (response) => response.text(),
      () => undefined,
    )
    if (text !== undefined) return text
    if (child.exitCode !== null) throw new Error(`the runner ended with ${child.exitCode}`)
    await sleep(50)
  }
}

const expectNothingLeft = () => {
  expect(readdirSync('/run/netns')).toEqual([])
  expect(readdirSync('/run/podwire/sandboxes')).toEqual([])
  expect(readdirSync('/run/podwire/plugins/kubenet/addresses')).toEqual([])
}

describe.skipIf(!isIsolated())('the sandbox runner', () => {
  test('does what its README says, by the commands there', async () => {
    const { child, output } = observe(spawn('sh', ['-ec', commands], { cwd: example, stdio }))
    const ended = once(child, 'exit')
    expect(await fetchWhenUp('http://127.0.0.1:18081/', child)).toBe('job-1')
    // A server doesn't end by itself.
    expect(await ended).toEqual([1, null])
    expect(output().match(/stopped .*not done in 5 s/g)).toHaveLength(4)
    expectNothingLeft()
  }, 60_000)

  test('runs commands at once, reachable each by its port, and leaves nothing', async () => {
    const { child, output } = run('--count', '3', '--', process.execPath, '-e', serveOnce)
    const ended = once(child, 'exit')
    const answers = await Promise.all(
      [0, 1, 2].map((job) => fetchWhenUp(`http://127.0.0.1:${18080 + job}/`, child)),
    )
    expect(answers.map((answer) => answer.split(' ')[0])).toEqual(['job-0', 'job-1', 'job-2'])
    expect(await ended).toEqual([0, null])
    expect(output()).toContain('3 of 3 done')
    expectNothingLeft()
  }, 60_000)

  test('stops what takes too long, and says which failed', async () => {
    const { child, output } = run(
      '--count',
      '2',
      '--seconds',
      '1',
      '--',
      'sh',
      '-c',
      '[ $JOB = job-0 ] && exit 3; sleep 60',
    )
    expect(await once(child, 'exit')).toEqual([1, null])
    expect(output()).toMatch(/job-0 {2}failed .*exit code 3/)
    expect(output()).toMatch(/job-1 {2}stopped .*not done in 1 s/)
    expectNothingLeft()
  }, 60_000)

  test('cleans up when it is interrupted', async () => {
    const { child, output } = run('--count', '2', '--', 'sleep', '60')
    while (!output().includes('job-1  running')) await sleep(50)
    child.kill('SIGINT')
    expect(await once(child, 'exit')).toEqual([1, null])
    expect(output()).toContain('0 of 2 done')
    expectNothingLeft()
  }, 60_000)
})

test('wants a command', async () => {
  const { child, output } = run('--count', '2')
  expect(await once(child, 'exit')).toEqual([2, null])
  expect(output()).toContain('COMMAND')
})
