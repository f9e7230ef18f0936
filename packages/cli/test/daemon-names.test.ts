import { execFileSync } from 'node:child_process'
import { connectNetworkHost } from '@podwire/client'
import { isIsolated } from '@podwire/testing'
import { describe, expect, test } from 'vitest'
import { daemonProject } from './daemon-process.ts'

/** What becomes of a question for a name that the policy doesn't allow: whoever answers pods says that there is no such name. */
const asking = `
  const { Resolver } = require('node:dns')
  const resolver = new Resolver({ timeout: 500, tries: 1 })
  resolver.setServers(['9.9.9.9'])
  resolver.resolve4('other.test', (error) => console.log(error?.code))`

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
    const ask = () =>
      execFileSync('nsenter', [`--net=${pod.netns}`, process.execPath, '-e', asking], {
        encoding: 'utf8',
      }).trim()
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
})
