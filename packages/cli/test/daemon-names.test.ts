import { execFileSync } from 'node:child_process'
import { connectNetworkHost } from '@podwire/client'
import { isIsolated } from '@podwire/testing'
import { describe, expect, test } from 'vitest'
import { daemonProject } from './daemon-process.ts'

/** What becomes of a question for a name: of one that the policy doesn't allow whoever answers pods says that there is none. */
const asking = (name: string) => `
  const { Resolver } = require('node:dns')
  const resolver = new Resolver({ timeout: 500, tries: 1 })
  resolver.setServers(['9.9.9.9'])
  resolver.resolve4('${name}', (error, addresses) => console.log(error?.code ?? addresses.join()))`

const askedIn = (netns: string, name: string) =>
  execFileSync('nsenter', [`--net=${netns}`, process.execPath, '-e', asking(name)], {
    encoding: 'utf8',
  }).trim()

describe.skipIf(!isIsolated())('a pod whose policy has names', () => {
  test('is answered again by the daemon that comes after one that was killed', async () => {
    const { socket, startDaemon } = daemonProject({
      stateDir: '/run/podwire-names',
      networkPlugin: 'kubenet',
      podCIDR: '10.88.0.0/16',
      plugins: { kubenet: { nameServers: ['192.0.2.53'] } },
    })
    const web = { namespace: 'default', name: 'web' }
    const first = await startDaemon()
    const before = await connectNetworkHost({ socket })
    const policy = { egress: { default: 'deny' as const, allow: [{ host: 'registry.test' }] } }
    const { pod } = await before.setUpPod({ ...web, policy })
    const ask = () => askedIn(pod.netns, 'other.test')
    const answer = ask()
    expect(answer).toBe('ENOTFOUND')
    await before.close()
    first.child.kill('SIGKILL')
    await first.end
    expect(ask()).toMatch(/^E(CONNREFUSED|TIMEOUT)$/)
    await startDaemon()
    expect(ask()).toBe(answer)
    const host = await connectNetworkHost({ socket })
    await host.tearDownPod(web)
    await host.close()
  })

  test('is set up without one where it has pods and no names, hears of them by name while a daemon runs, and is whole when that ends', async () => {
    const { startDaemon, podwire } = daemonProject({
      stateDir: '/run/podwire-pods',
      networkPlugin: 'kubenet',
      podCIDR: '10.88.0.0/16',
    })
    const up = (name: string, ...flags: string[]) => {
      const { status, stdout, stderr } = podwire('up', `default/${name}`, '--json', ...flags)
      expect(status, stderr).toBe(0)
      return JSON.parse(stdout)
    }
    const web = up('web')
    const { netns } = up('one', '--allow', 'web.default.pod')
    const ask = () => ['web.default.pod', 'other.test'].map((name) => askedIn(netns, name))
    const nobody = [expect.stringMatching(/^E/), expect.stringMatching(/^E/)]
    expect(ask()).toEqual(nobody)
    const first = await startDaemon()
    expect(ask()).toEqual([web.ip, 'ENOTFOUND'])
    // By the daemon, and then by a process of its own, which ends.
    up('one', '--allow', 'web.default.pod', '--daemon')
    up('one', '--allow', 'web.default.pod', '--no-daemon')
    expect(ask()).toEqual([web.ip, 'ENOTFOUND'])
    first.child.kill('SIGKILL')
    await first.end
    expect(ask()).toEqual(nobody)
    expect(podwire('check', 'default/one')).toMatchObject({ status: 0 })
    up('one', '--no-internet')
    const second = await startDaemon()
    expect(ask()).toEqual([web.ip, 'ENOTFOUND'])
    const { policy } = up('one')
    expect(policy).toEqual({ egress: { default: 'deny', allow: [{ pod: '*/*' }, { gateway: true }] } })
    expect(up('one', '--no-policy')).not.toHaveProperty('policy')
    for (const name of ['web', 'one']) expect(podwire('down', `default/${name}`).status).toBe(0)
    second.child.kill('SIGTERM')
    await second.end
  })
})
