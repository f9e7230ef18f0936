import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isIsolated } from '@podwire/testing'
import { afterEach, describe, expect, test } from 'vitest'
import { ended, project, withPlugin } from './podwire.ts'

const undo: (() => void)[] = []
afterEach(() => {
  for (const step of undo.splice(0)) step()
})

/** A project with a daemon that runs, and how that ends. */
async function withDaemon(files = withPlugin(''), ...flags: string[]) {
  const made = project(files)
  const child = made.start('daemon', '--log', 'json', ...flags)
  undo.push(() => child.kill('SIGKILL'))
  const end = ended(child)
  let log = ''
  child.stderr?.on('data', (chunk) => (log += chunk))
  while (!log.includes('listening at')) {
    await Promise.race([
      once(child.stderr!, 'data'),
      end.then(({ stderr }) => Promise.reject(new Error(stderr))),
    ])
  }
  return { ...made, child, end }
}

/** The same plugin package, whose probe gives another plugin each time: a host that is exchanged needs one of its own. */
function probedAnew(files: Record<string, unknown>): Record<string, unknown> {
  const path = 'node_modules/podwire-plugin-odd/index.js'
  return { ...files, [path]: String(files[path]).replace('[plugin]', '[{ ...plugin }]') }
}

const eventsOf = (stdout: string) =>
  stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).event)

describe.skipIf(!isIsolated())('commands beside a daemon', () => {
  test('are carried out by it', async () => {
    const { podwire, child, end, dir } = await withDaemon()
    expect(podwire('up', 'default/web')).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('192.0.2.9'),
    })
    expect(podwire('status', '--json').stdout).toContain('"ready":true')
    expect(podwire('ps').stdout).toContain('default/web')
    expect(podwire('check', 'default/web')).toMatchObject({ status: 0 })
    expect(podwire('exec', 'default/web', '--', 'sh', '-c', 'exit 7').status).toBe(7)
    expect(podwire('run', '--', 'sh', '-c', 'exit 8').status).toBe(8)
    expect(podwire('repair', '--json')).toMatchObject({ status: 0 })
    expect(podwire('gc')).toMatchObject({ status: 0, stderr: '' })
    expect(JSON.parse(podwire('top', '--json', '--interval', '50ms').stdout)).toMatchObject([
      { name: 'web', ips: ['192.0.2.9'], receivedBitsPerSecond: 0 },
    ])
    expect(podwire('down', 'default/web').status).toBe(0)
    expect(podwire('up', 'default/a_b')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('name "a_b"'),
    })
    const told = eventsOf(podwire('events', '--json').stdout)
    expect(told.filter((name) => name === 'pod:setup:done')).toHaveLength(2)
    expect(told.filter((name) => name === 'pod:teardown:done')).toHaveLength(2)
    child.kill('SIGTERM')
    expect(await end).toMatchObject({ code: 0 })
    expect(readdirSync(join(dir, 'state')).sort()).toEqual(['host.json', 'locks', 'sandboxes'])
  }, 240_000)

  test('are done without it where that is asked for, and say that it is there', async () => {
    const { podwire } = await withDaemon()
    const up = podwire('up', 'default/web', '--no-daemon')
    expect(up).toMatchObject({
      status: 0,
      stderr: expect.stringMatching(/a daemon \(process \d+\) works on/),
    })
    expect(eventsOf(podwire('events', '--json').stdout)).not.toContain('pod:setup:done')
    expect(podwire('ps', '--daemon').stdout).toContain('default/web')
    expect(podwire('gc', '--no-daemon')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('works on'),
    })
    expect(podwire('prune', '--all', '--no-daemon')).toMatchObject({ status: 2 })
    expect(podwire('daemon')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('works on the state directory'),
    })
    expect(podwire('down', '--all')).toMatchObject({ status: 0, stderr: '' })
  }, 240_000)

  test('go on by themselves when it was killed, unless they are to have it', async () => {
    const { podwire, child, end, dir } = await withDaemon()
    podwire('up', 'default/web')
    child.kill('SIGKILL')
    await end
    expect(existsSync(join(dir, 'state/podwire.sock'))).toBe(true)
    expect(podwire('ps').stdout).toContain('default/web')
    expect(podwire('ps', '--daemon')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('No daemon answers'),
    })
    expect(podwire('events')).toMatchObject({ status: 1, stderr: expect.stringContaining('podwire daemon') })
    expect(podwire('down', 'default/web')).toMatchObject({ status: 0, stderr: '' })
  }, 240_000)

  test('need no configuration that can be used: the daemon has its own', async () => {
    const { podwire, dir } = await withDaemon()
    writeFileSync(
      join(dir, 'podwire.config.json'),
      JSON.stringify({ networkPlugins: 'odd', stateDir: './state' }),
    )
    expect(podwire('up', 'default/web')).toMatchObject({ status: 0, stderr: '' })
    expect(podwire('status')).toMatchObject({ status: 0, stdout: expect.stringContaining('plugin odd') })
    expect(podwire('up', 'default/other', '--no-daemon')).toMatchObject({ status: 2 })
    podwire('down', '--all')
  }, 240_000)

  test('that are interrupted abort what they asked for, and wait until it is undone', async () => {
    const hanging = withPlugin(
      `setUpPod: (pod, signal) => new Promise((resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),`,
    )
    const { podwire, start, dir } = await withDaemon(hanging)
    const up = start('up', 'default/web')
    const end = ended(up)
    const sandboxes = join(dir, 'state/sandboxes')
    while (!existsSync(sandboxes) || readdirSync(sandboxes).length === 0)
      await new Promise((r) => setTimeout(r, 20))
    up.kill('SIGINT')
    expect(await end).toMatchObject({ code: 130, stderr: expect.stringContaining('interrupted by SIGINT') })
    expect(readdirSync(sandboxes)).toEqual([])
    expect(JSON.parse(podwire('ps', '--json').stdout)).toEqual([])
  }, 240_000)

  test('follow its events, over a reload', async () => {
    const { start, podwire, child, end, dir } = await withDaemon(probedAnew(withPlugin('')))
    const following = start('events', '--follow', '--json')
    undo.push(() => following.kill('SIGKILL'))
    let told = ''
    following.stdout?.on('data', (chunk) => (told += chunk))
    const until = async (text: string) => {
      while (!told.includes(text)) await once(following.stdout!, 'data')
    }
    await until('plugin:ready')
    const file = join(dir, 'podwire.config.json')
    writeFileSync(
      file,
      JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), deadlines: { status: '9s' } }),
    )
    child.kill('SIGHUP')
    await until('configuration:changed')
    expect(told).toContain('"changed":["deadlines.status"]')
    podwire('up', 'default/web')
    await until('pod:setup:done')
    const followed = ended(following)
    following.kill('SIGINT')
    expect(await followed).toMatchObject({ code: 0, stderr: '' })
    podwire('down', '--all')
    child.kill('SIGTERM')
    expect((await end).stderr).toContain('pod:setup:done odd default/web')
  }, 240_000)

  const fatal = withPlugin(
    `event(name) { if (name === 'bad') setTimeout(() => { throw new Error('my mistake') }) },`,
  )

  test('a plugin that ends its process by an error that nobody catches is started again, and the daemon goes on', async () => {
    const { podwire, child, end, start } = await withDaemon(fatal)
    const following = start('events', '--follow', '--json')
    let told = ''
    following.stdout?.on('data', (chunk) => (told += chunk))
    podwire('event', 'bad')
    while (!told.includes('plugin:restarted')) await once(following.stdout!, 'data')
    expect(podwire('up', 'default/web').status).toBe(0)
    expect(podwire('plugins', 'reset', 'odd').stdout).toContain('nothing to reset')
    podwire('down', '--all')
    following.kill('SIGKILL')
    child.kill('SIGTERM')
    expect(await end).toMatchObject({ code: 0, stderr: expect.stringContaining('my mistake') })
  }, 60_000)

  test('a plugin in its own process that does so ends it in order', async () => {
    const config = { networkPlugin: 'odd', stateDir: './state', isolation: 'none' }
    const { podwire, end } = await withDaemon({ ...fatal, 'podwire.config.json': config })
    podwire('event', 'bad')
    const { code, stderr } = await end
    expect([code, stderr]).toEqual([1, expect.stringContaining('my mistake')])
  }, 60_000)
})
