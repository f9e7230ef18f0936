import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { connectNetworkHost } from '@podwire/client'
import { isIsolated } from '@podwire/testing'
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { daemonProject } from './daemon-process.ts'

const port = 8124
const connect = (to: number) => `exec 3<>/dev/tcp/10.88.0.1/${to} && cat <&3`
const ACCOUNTING = '/proc/sys/net/netfilter/nf_conntrack_acct'
const counts = () => readFileSync(ACCOUNTING, 'utf8').trim()

describe.skipIf(!isIsolated())('flows, by a daemon', () => {
  let server: ChildProcess

  beforeAll(async () => {
    const script = `require('net').createServer((s) => s.end('hello')).listen(${port}, '0.0.0.0', () => console.log('there'))`
    server = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(server.stdout!, 'data')
  })
  afterAll(() => void server.kill())
  // A daemon that was killed leaves the kernel counting.
  afterEach(() => writeFileSync(ACCOUNTING, '0'))

  async function start() {
    const { socket, startDaemon, podwire, start } = daemonProject({
      stateDir: '/run/podwire-flows',
      networkPlugin: 'kubenet',
      podCIDR: '10.88.0.0/16',
    })
    const daemon = await startDaemon()
    const begun = (...args: string[]) => {
      const child = start(...args)
      onTestFinished(() => void child.kill('SIGKILL'))
      let said = ''
      child.stdout.on('data', (chunk) => (said += chunk))
      return { child, said: () => said }
    }
    return { socket, daemon, podwire, begun }
  }

  test('run --allow … --report says what was reached and what was denied, and watches no longer than that', async () => {
    const { podwire, daemon } = await start()
    const command = `(${connect(port)}); (${connect(9)})`
    const { stderr, stdout } = podwire(
      'run',
      '--daemon',
      '--allow',
      `10.88.0.1:${port}`,
      '--report',
      '--suggest',
      '--',
      'bash',
      '-c',
      command,
    )
    expect(stdout).toBe('hello')
    expect(stderr).toMatch(new RegExp(`reached once: tcp to 10.88.0.1:${port}, \\d+ B sent, \\d+ B received`))
    expect(stderr).toMatch(/denied (once|\d+ times) by default: tcp to 10.88.0.1:9/)
    expect(stderr).toContain('--allow 10.88.0.1:9/tcp')
    await expect.poll(counts).toBe('0')
    daemon.child.kill('SIGTERM')
    await daemon.end
  })

  test('are printed as they happen, of one pod or all, and those of before', async () => {
    const { podwire, begun, socket } = await start()
    for (const name of ['web', 'other'])
      expect(podwire('up', `default/${name}`, '--daemon', '--allow', `10.88.0.1:${port}`).status).toBe(0)
    const follow = begun('flows', 'default/web', '--follow')
    const denials = begun('flows', '--follow', '--denied', '--json')
    await expect.poll(counts).toBe('1')
    for (const name of ['web', 'other'])
      for (const to of [port, 9]) podwire('exec', `default/${name}`, '--', 'bash', '-c', connect(to))
    await expect
      .poll(follow.said)
      .toMatch(
        new RegExp(
          `allowed +default/web +tcp to 10.88.0.1:${port}\\n[^]*denied +default/web +tcp to 10.88.0.1:9, .*by default`,
        ),
      )
    expect(follow.said()).not.toContain('default/other')
    await expect.poll(() => denials.said().trim().split('\n').length).toBeGreaterThan(1)
    expect(denials.said()).not.toContain('flow:allowed')

    const host = await connectNetworkHost({ socket })
    const heard: object[] = []
    host.events.on('flow:closed', ({ pod: { name }, address, count }) => heard.push({ name, address, count }))
    const unwatch = await host.watchFlows()
    await host.tearDownPod({ namespace: 'default', name: 'web' })
    await unwatch()
    expect(heard).toEqual([{ name: 'web', address: '10.88.0.1', count: 1 }])
    await host.close()

    await expect.poll(follow.said).toMatch(/closed +default\/web +tcp to .*sent, .*received, \d+\.\d s/)
    for (const { child } of [follow, denials]) {
      child.kill('SIGINT')
      await once(child, 'close')
    }
    // Nobody watches any more.
    await expect.poll(counts).toBe('0')
    const before = podwire('flows', '--json')
      .stdout.trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(new Set(before.map(({ event }) => event))).toEqual(
      new Set(['flow:allowed', 'flow:denied', 'flow:closed']),
    )
    expect(before[0]).toMatchObject({ payload: { plugin: 'kubenet', pod: { namespace: 'default' } } })
    // What is open, or was closed a moment ago, is told once, however often somebody asked.
    for (let times = 0; times < 3; times++)
      expect(podwire('flows', 'default/other').stdout.match(/ open /g)).toHaveLength(1)
    const metrics = await fetchMetrics(socket)
    expect(metrics).toMatch(
      /podwire_flows_denied_total\{plugin="kubenet",direction="egress",protocol="tcp",rule="default"\} [1-9]/,
    )
    expect(podwire('down', 'default/other').status).toBe(0)
    // What it remembers it tells, though the pod is gone.
    expect(podwire('flows', 'default/other')).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('denied'),
    })
    expect(podwire('flows', 'default/nobody')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('has no pod default/nobody'),
    })
  })

  test('of a watcher that is killed are watched no more', async () => {
    const { begun } = await start()
    const { child } = begun('flows', '--follow')
    await expect.poll(counts).toBe('1')
    child.kill('SIGKILL')
    await expect.poll(counts).toBe('0')
  })
})

async function fetchMetrics(socketPath: string): Promise<string> {
  const { request } = await import('node:http')
  return new Promise((resolve, reject) => {
    request({ socketPath, path: '/metrics' }, async (response) => {
      let text = ''
      for await (const chunk of response) text += chunk
      resolve(text)
    })
      .on('error', reject)
      .end()
  })
}
