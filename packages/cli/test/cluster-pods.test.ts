import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Policy, PolicyRule } from '@podwire/api'
import { isIsolated } from '@podwire/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hasEtcd } from '../../../.dev/etcd-server.ts'
import { built } from './podwire.ts'

/** Long enough for a daemon to be started while etcd is away, and short enough to wait for. */
const leaseSeconds = 36

/** Asks for a name by whatever server, and then what the address answers: `10.244.1.2 Hello …`. */
const asking = `
  const { Resolver } = require('node:dns').promises
  const [name, port] = process.argv.slice(1)
  const resolver = new Resolver({ timeout: 1000, tries: 1 })
  resolver.setServers(['9.9.9.9'])
  ;(async () => {
    try {
      const address = /[a-z]/.test(name) ? (await resolver.resolve4(name))[0] : name
      const answer = await fetch('http://' + address + ':' + (port ?? 80), { signal: AbortSignal.timeout(1500) })
      console.log(address, (await answer.text()).trim())
    } catch (error) {
      console.log(error.name === 'TimeoutError' ? 'timeout' : (error.cause?.code ?? error.code))
    }
    process.exit()
  })()`

describe.skipIf(!isIsolated() || !hasEtcd)('pods of three machines', () => {
  const example = join(built, 'examples/three-nodes')
  const dir = mkdtempSync(join(tmpdir(), 'podwire-nodes-'))
  const config = join(dir, 'podwire.config.json')
  const env = { ...process.env, PODWIRE_CONFIG: config, NO_COLOR: '1' }
  // What goes on in the background would keep a pipe open.
  const machines = (...args: string[]) =>
    execFileSync(`${example}/machines`, args, { cwd: example, env, stdio: 'ignore', timeout: 60_000 })
  const podwire = (node: number, ...args: string[]) =>
    execFileSync(`${example}/machines`, ['on', String(node), 'podwire', ...args], {
      cwd: example,
      env,
      encoding: 'utf8',
      timeout: 60_000,
    })
  /** What a pod hears of another one. */
  const ask = (node: number, pod: string, name: string, ...port: string[]) =>
    podwire(node, 'exec', pod, '--', process.execPath, '-e', asking, name, ...port).trim()
  const addressOf = (node: number, pod: string): string =>
    JSON.parse(podwire(node, 'status', pod, '--json')).pods[0].ip
  const REFUSED = /^(EHOSTUNREACH|EACCES|timeout)$/

  const up = (node: number, pod: string, policy?: Policy, ...more: string[]) => {
    const file = join(dir, 'policy.json')
    writeFileSync(file, JSON.stringify(policy ?? {}))
    podwire(node, 'up', pod, ...(policy ? ['--policy', file] : []), ...more)
  }
  const serve = (node: number, pod: string) =>
    machines('start', String(node), 'podwire', 'exec', pod, '--', process.execPath, 'serve.mjs')
  const allowing = (...allow: PolicyRule[]): Policy => ({ egress: { default: 'deny', allow } })
  const etcdctl = (...args: string[]) =>
    execFileSync('env', ['ETCDCTL_API=3', 'etcdctl', '--endpoints', 'http://192.0.2.254:2379', ...args], {
      encoding: 'utf8',
    })
  const eventually = (what: () => unknown) => expect.poll(what, { timeout: 60_000, interval: 200 })

  beforeAll(() => {
    writeFileSync(
      config,
      JSON.stringify({
        networkPlugin: 'kubenet',
        plugins: { kubenet: { nameServers: ['192.0.2.53'] } },
        cluster: {
          etcd: { endpoints: ['http://192.0.2.254:2379'] },
          interface: 'eth0',
          leaseTTL: `${leaseSeconds}s`,
          sharedAnnotations: ['app', 'team.example.org/*'],
        },
      }),
    )
    machines('up', '3')
    machines('etcd')
    podwire(
      1,
      'cluster',
      'init',
      '--network',
      '10.244.0.0/16',
      '--ipv6',
      'fd00:244::/48',
      '--backend',
      'vxlan',
    )
    for (const node of [1, 2, 3]) machines('daemon', String(node))
  }, 180_000)
  afterAll(() => {
    machines('down')
    rmSync(dir, { recursive: true, force: true })
  })

  test('are found by name, and reached by their own addresses, where the policy says so', async () => {
    up(1, 'demo/web', undefined, '--annotation', 'app=web', '--annotation', 'password=hunter2')
    up(3, 'demo/db', undefined, '--annotation', 'app=db')
    for (const [node, pod] of [
      [1, 'demo/web'],
      [3, 'demo/db'],
    ] as const)
      serve(node, pod)
    up(2, 'demo/client', allowing({ host: 'example.org' }, { pod: 'demo/web', ports: [80] }))
    // Pods see each other's own addresses.
    await eventually(() => ask(2, 'demo/client', 'web.demo.pod')).toBe(
      '10.244.1.2 Hello from the pod, ::ffff:10.244.2.2',
    )
    expect(ask(2, 'demo/client', 'db.demo.pod')).toBe('ENOTFOUND')
    expect(ask(2, 'demo/client', '10.244.3.2')).toMatch(REFUSED)
    // By an annotation, which was shared; and by one that is nobody's but its node's.
    up(2, 'demo/client', allowing({ host: 'example.org' }, { pod: { annotations: { app: 'db' } } }))
    expect(ask(2, 'demo/client', 'db.demo.pod')).toBe('10.244.3.2 Hello from the pod, ::ffff:10.244.2.2')
    expect(ask(2, 'demo/client', 'web.demo.pod')).toBe('ENOTFOUND')
    up(2, 'demo/client', allowing({ host: 'example.org' }, { pod: { annotations: { password: 'hunter2' } } }))
    expect(ask(2, 'demo/client', 'web.demo.pod')).toBe('ENOTFOUND')
    expect(ask(2, 'demo/client', '10.244.1.2')).toMatch(REFUSED)
    expect(etcdctl('get', '--prefix', '')).not.toContain('hunter2')
  }, 180_000)

  test('reach a pod where its ingress speaks of them, on whatever node they are, and others do not', async () => {
    const guarded: Policy = { ingress: { default: 'deny', allow: [{ pod: 'demo/friend' }] } }
    up(1, 'demo/guarded', guarded, '-p', '8080:80')
    serve(1, 'demo/guarded')
    up(2, 'demo/friend')
    up(2, 'demo/stranger')
    const ip = addressOf(1, 'demo/guarded')
    await eventually(() => ask(2, 'demo/friend', ip)).toMatch(/Hello from the pod/)
    expect(ask(2, 'demo/stranger', ip)).toMatch(REFUSED)
    // By a published port they come as their node, which this policy does not allow; a pod without one is reached so.
    expect(ask(2, 'demo/friend', '192.0.2.1', '8080')).toMatch(REFUSED)
    up(1, 'demo/guarded', { ingress: { default: 'deny', allow: [{ published: true }] } }, '-p', '8080:80')
    for (const pod of ['demo/friend', 'demo/stranger'])
      expect(ask(2, pod, '192.0.2.1', '8080')).toMatch(/Hello from the pod/)
    podwire(2, 'down', 'demo/friend')
    up(1, 'demo/guarded', guarded)
    // Whoever has the address next is not the friend.
    await eventually(() =>
      etcdctl('get', '--prefix', '--keys-only', '/coreos.com/network/pods/'),
    ).not.toContain('friend')
    expect(ask(2, 'demo/stranger', ip)).toMatch(REFUSED)
  }, 180_000)

  test('are known again after etcd and a daemon were killed, and gone when they are torn down or their node is', async () => {
    up(1, 'demo/web')
    serve(1, 'demo/web')
    up(2, 'demo/client', allowing({ host: 'example.org' }, { pod: 'demo/*' }))
    await eventually(() => ask(2, 'demo/client', 'web.demo.pod')).toMatch(/^10\.244\.1\.2 Hello/)
    // A daemon that is killed is answered for by the one that comes next, from what was written down.
    const kill = (file: string, signal = 'KILL') =>
      spawnSync('kill', [`-${signal}`, readFileSync(`/run/three-nodes/${file}.pid`, 'utf8').trim()])
    kill('etcd')
    kill('2.daemon')
    machines('daemon', '2')
    await eventually(() => ask(2, 'demo/client', 'web.demo.pod')).toMatch(/^10\.244\.1\.2 Hello/)
    machines('etcd')
    await eventually(() => etcdctl('get', '--prefix', '--keys-only', '/coreos.com/network/pods/')).toContain(
      'demo/client',
    )
    // Torn down.
    podwire(1, 'down', 'demo/web')
    await eventually(() => ask(2, 'demo/client', 'web.demo.pod')).toBe('ENOTFOUND')
    expect(ask(2, 'demo/client', '10.244.1.2')).toMatch(REFUSED)
    // Its node's lease ended, and with it the way there.
    expect(ask(2, 'demo/client', 'db.demo.pod')).toMatch(/Hello/)
    kill('3.daemon')
    await eventually(() => ask(2, 'demo/client', 'db.demo.pod')).toBe('ENOTFOUND')
    expect(ask(2, 'demo/client', '10.244.3.2')).toMatch(/^(EHOSTUNREACH|ENETUNREACH|timeout)$/)
    expect(etcdctl('get', '--prefix', '--keys-only', '/coreos.com/network/pods/10.244.3')).toBe('')
  }, 180_000)
})
