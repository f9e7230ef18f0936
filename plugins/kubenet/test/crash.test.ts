import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { describeDatapaths, never, nothing, useMachine } from './support/machine.ts'
import { wait } from './support/peer.ts'

const root = new URL('../../..', import.meta.url).pathname

describeDatapaths('kubenet after kill -9 (%s)', (datapath) => {
  const machine = useMachine(datapath)

  async function startChurn(namespaces: readonly string[]): Promise<ChildProcess> {
    const script = new URL('./support/churn.ts', import.meta.url).pathname
    const args = ['--import', `${root}.dev/run-source.mjs`, script, machine.stateDir, datapath, ...namespaces]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], cwd: root })
    await Promise.race([
      once(child.stdout!, 'data'),
      once(child, 'exit').then(() => Promise.reject(new Error('churn ended'))),
    ])
    return child
  }

  /** How long its first pod takes, up and down: as slow as this machine is, a kill within that comes in the middle of something. */
  async function firstLife(namespaces: readonly string[]): Promise<number> {
    const child = await startChurn(namespaces)
    const begun = performance.now()
    await once(child.stdout!, 'data')
    child.kill('SIGKILL')
    await once(child, 'exit')
    return performance.now() - begun
  }

  it('goes on with the pods there are and leaks nothing, killed at 40 moments', {
    timeout: 600_000,
  }, async () => {
    await machine.start({ podCIDR: '10.88.0.0/24,fd88::/64' })
    const steady = { portMappings: [{ hostPort: 6000, containerPort: 80, protocol: 'tcp' as const }] }
    const before = await machine.pod('steady', steady)
    const alone = machine.traces()
    const namespaces = Array.from({ length: 4 }, (_, index) => machine.sandbox(`churn-${index}`).netns)
    const lifeMs = await firstLife(namespaces.slice(0, 2))
    // Two at a time, killed independently of each other: processes share the state, and the one outlives the other.
    let leftBehind = 0
    let next = startChurn(namespaces.slice(0, 2))
    for (let round = 0; round < 40; round++) {
      const child = await next
      next = startChurn(round % 2 === 0 ? namespaces.slice(2) : namespaces.slice(0, 2))
      await wait(Math.random() * lifeMs)
      child.kill('SIGKILL')
      await once(child, 'exit')
      // The next one has hardly started.
      leftBehind += machine.traces().links.length - alone.links.length
      if (round % 10 !== 9) continue
      const last = await next
      last.kill('SIGKILL')
      await once(last, 'exit')
      await machine.start({ podCIDR: '10.88.0.0/24,fd88::/64' })
      await machine.plugin.collectGarbage?.(['steady'], never())
      expect(machine.traces(), `after round ${round}`).toEqual(alone)
      await machine.plugin.checkPod?.(machine.host.pods.get('steady')!, never())
      next = startChurn(namespaces.slice(0, 2))
    }
    const last = await next
    last.kill('SIGKILL')
    await once(last, 'exit')
    await machine.plugin.collectGarbage?.(['steady'], never())
    expect(leftBehind).toBeGreaterThan(0)
    expect(await machine.again('steady', steady)).toEqual(before)
    expect(machine.traces()).toEqual(alone)
    await machine.remove('steady')
    expect(machine.traces()).toEqual(nothing)
    expect(readdirSync(`${machine.stateDir}/pods`)).toEqual([])
  })

  it('sets a pod up again that was left half done', async () => {
    await machine.start({ podCIDR: '10.88.0.0/24,fd88::/64' })
    const { netns } = machine.sandbox('churn-0')
    for (let round = 0; round < 5; round++) {
      const child = await startChurn([netns])
      await wait(Math.random() * 25)
      child.kill('SIGKILL')
      await once(child, 'exit')
      const settings = {
        annotations: { 'kubernetes.io/egress-bandwidth': '20M' },
        portMappings: [{ hostPort: 7000, containerPort: 80, protocol: 'tcp' as const }],
      }
      await machine.again('churn-0', settings)
      await machine.plugin.checkPod?.(machine.host.pods.get('churn-0')!, never())
      await machine.remove('churn-0')
      await machine.plugin.collectGarbage?.([], never())
      expect(machine.traces()).toEqual(nothing)
    }
  })

  it('leaves no socket or descriptor open in the process that lives on', async () => {
    await machine.start()
    const open = () => readdirSync('/proc/self/fd').length
    await machine.pod('first')
    await machine.remove('first')
    // The first of what leaves the event loop opens a socket for it.
    await machine.plugin.collectGarbage?.([], never())
    const before = open()
    const sockets = () => readFileSync('/proc/net/netlink', 'utf8').split('\n').length
    const socketsBefore = sockets()
    for (let index = 0; index < 20; index++) {
      await machine.pod(`p${index}`)
      await machine.again(`p${index}`)
      await machine.remove(`p${index}`)
    }
    expect(open()).toBeLessThanOrEqual(before)
    expect(sockets()).toBeLessThanOrEqual(socketsBefore)
  })
})
