import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { isPodwireError, podKey } from '@podwire/api'
import { connectNetworkHost, type RemoteNetworkHost } from '@podwire/client'
import { isIsolated } from '@podwire/testing'
import { afterEach, describe, expect, test } from 'vitest'
import { daemonProject } from './daemon-process.ts'

const hosts: RemoteNetworkHost[] = []
const mounts: string[] = []
afterEach(async () => {
  for (const host of hosts.splice(0)) await host.close()
  for (const dir of mounts.splice(0)) execFileSync('umount', ['--lazy', dir])
  execFileSync('ip', ['-all', 'netns', 'delete'])
})

async function connected(socket: string): Promise<RemoteNetworkHost> {
  const host = await connectNetworkHost({ socket })
  hosts.push(host)
  return host
}

/** A state directory on a file system of its own. */
function mounted(name: string, size: string): string {
  const dir = `/run/${name}`
  mkdirSync(dir)
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=700`, 'tmpfs', dir])
  mounts.push(dir)
  return dir
}

const codeOf = (error: unknown) => (isPodwireError(error) ? error.code : String(error))
const pods = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ namespace: 'default', name: `pod-${i}` }))

/** Asks for pods up and down, until a signal says that it is enough; what was acknowledged last, by pod. */
async function load(host: RemoteNetworkHost, client: number, isEnough: () => boolean) {
  const acknowledged = new Map<string, 'up' | 'down'>()
  const errors: string[] = []
  for (let i = 0; !isEnough(); i++) {
    const pod = { namespace: `client-${client}`, name: `pod-${i % 3}` }
    const wanted = acknowledged.get(podKey(pod)) === 'up' ? 'down' : 'up'
    try {
      if (wanted === 'up') await host.setUpPod(pod)
      else await host.tearDownPod(pod)
      acknowledged.set(podKey(pod), wanted)
    } catch (error) {
      errors.push(codeOf(error))
      break
    }
  }
  return { acknowledged, errors }
}

describe.skipIf(!isIsolated())('a daemon survives', () => {
  test('a full disk and a read-only one: what fails is undone, what is up stays', async () => {
    const stateDir = mounted('podwire-small', '160k')
    const { socket, startDaemon } = daemonProject({ networkPlugin: '', stateDir })
    const { child, end } = await startDaemon()
    const host = await connected(socket)
    let up = 0
    const codes: string[] = []
    for (const pod of pods(80)) {
      await host.setUpPod(pod).then(
        () => up++,
        (error: unknown) => codes.push(codeOf(error)),
      )
    }
    expect(up).toBeGreaterThan(5)
    expect([...new Set(codes)]).toEqual(['STATE_UNUSABLE'])
    expect(await host.pods()).toHaveLength(up)
    expect(readdirSync('/run/netns')).toHaveLength(up)

    execFileSync('mount', ['-o', 'remount,bind,ro', stateDir])
    await expect(host.setUpPod({ namespace: 'default', name: 'other' })).rejects.toMatchObject({
      code: 'STATE_UNUSABLE',
    })
    execFileSync('mount', ['-o', 'remount,bind,rw', stateDir])
    await Promise.all((await host.pods()).map(({ pod }) => host.tearDownPod(pod)))
    expect(await host.setUpPod({ namespace: 'default', name: 'other' })).toMatchObject({ phase: 'ready' })
    await host.tearDownPod({ namespace: 'default', name: 'other' })
    expect(readdirSync('/run/netns')).toEqual([])
    child.kill('SIGTERM')
    expect(await end).toMatchObject({ code: 0 })
  }, 120_000)

  test('64 open files, and twice as many clients', async () => {
    const stateDir = '/run/podwire-few-files'
    const { socket, startDaemon } = daemonProject({ networkPlugin: '', stateDir })
    const { child, end } = await startDaemon('ulimit -n 64')
    const idle = Array.from({ length: 128 }, () => connect(socket).on('error', () => {}))
    const host = await connected(socket)
    const results = await Promise.allSettled(pods(128).map((pod) => host.setUpPod(pod)))
    const refused = results.flatMap((result) => (result.status === 'rejected' ? [codeOf(result.reason)] : []))
    for (const socket of idle) socket.destroy()
    // Whoever was cut off asks again, as the error says.
    for (const pod of pods(128)) await host.setUpPod(pod)
    expect(await host.pods()).toHaveLength(128)
    expect(refused.filter((code) => !['DAEMON_CONNECTION_LOST', 'STATE_UNUSABLE'].includes(code))).toEqual([])
    await host.prune({ all: true })
    expect(readdirSync('/run/netns')).toEqual([])
    child.kill('SIGTERM')
    expect(await end).toMatchObject({ code: 0 })
  }, 120_000)

  test('SIGTERM in the middle of the load of 16 clients: what was acknowledged is so, and nothing is half done', async () => {
    const stateDir = '/run/podwire-stopped'
    const { socket, startDaemon } = daemonProject({ networkPlugin: '', stateDir })
    const { child, end } = await startDaemon()
    const clients = await Promise.all(Array.from({ length: 16 }, () => connected(socket)))
    let done = 0
    const loads = clients.map((host, client) =>
      load(host, client, () => {
        done++
        return false
      }),
    )
    while (done < 100) await new Promise((resolve) => setTimeout(resolve, 5))
    child.kill('SIGTERM')
    const results = await Promise.all(loads)
    expect(await end).toMatchObject({ code: 0 })
    const errors = new Set(results.flatMap((result) => result.errors))
    expect(
      [...errors].filter(
        (code) => !['DAEMON_STOPPING', 'DAEMON_NOT_RUNNING', 'DAEMON_CONNECTION_LOST'].includes(code),
      ),
    ).toEqual([])
    const records = readdirSync(join(stateDir, 'sandboxes')).map((name) =>
      JSON.parse(readFileSync(join(stateDir, 'sandboxes', name), 'utf8')),
    )
    expect(records.filter(({ phase }) => phase !== 'ready')).toEqual([])
    const up = records.map(({ pod }) => podKey(pod)).sort()
    const acknowledged = results.flatMap((result) => [...result.acknowledged])
    expect(up).toEqual(acknowledged.flatMap(([pod, state]) => (state === 'up' ? [pod] : [])).sort())
    expect(readdirSync('/run/netns')).toHaveLength(up.length)
  }, 120_000)

  test('10,000 pods', async () => {
    const stateDir = '/run/podwire-many'
    const { socket, startDaemon } = daemonProject({ networkPlugin: '', stateDir })
    execFileSync('ip', ['netns', 'add', 'shared'])
    const first = await startDaemon()
    const record = await (await connected(socket)).setUpPod({
      namespace: 'many',
      name: 'pod-0',
      netns: '/run/netns/shared',
    })
    first.child.kill('SIGTERM')
    await first.end
    for (let i = 1; i < 10_000; i++) {
      const sandboxId = `many-${i}`
      const pod = { ...record.pod, name: `pod-${i}`, sandboxId }
      writeFileSync(join(stateDir, 'sandboxes', `${sandboxId}.json`), JSON.stringify({ ...record, pod }))
    }
    const { child, end } = await startDaemon()
    const host = await connected(socket)
    expect(await host.pods()).toHaveLength(10_000)
    const metrics = execFileSync('curl', ['--silent', '--unix-socket', socket, 'http://podwire/metrics'], {
      encoding: 'utf8',
    })
    expect(metrics).toContain('podwire_pods{phase="ready"} 10000')
    expect(
      await host.setUpPod({ namespace: 'many', name: 'one-more', netns: '/run/netns/shared' }),
    ).toMatchObject({ phase: 'ready' })
    const [, rss = ''] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8')) ?? []
    expect(Number(rss)).toBeLessThan(400_000)
    child.kill('SIGTERM')
    expect(await end).toMatchObject({ code: 0 })
  }, 180_000)
})
