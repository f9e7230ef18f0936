import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isPodwireError, podKey } from '@podwire/api'
import { namesIn } from '@podwire/api/files'
import { connectNetworkHost, type RemoteNetworkHost } from '@podwire/client'
import { isIsolated } from '@podwire/testing'
import { describe, expect, test } from 'vitest'
import { daemonProject } from './daemon-process.ts'

// The full count takes an hour: npm run test:faults -- --daemon.
const kills = Number(
  process.env['PODWIRE_DAEMON_KILLS'] ?? (process.env['PODWIRE_FAULTS'] === 'all' ? 300 : 3),
)
const clientCount = 16
const podsOfClient = 3
const stateDir = '/run/podwire-killed'
const kubenet = join(stateDir, 'plugins/kubenet')

interface TestPod {
  readonly namespace: string
  readonly name: string
  readonly hostPort: number
  /** What was acknowledged last; undefined while something was asked that was never answered. */
  acknowledged: 'up' | 'down' | undefined
}

/** Asks for pods up and down at random, until the daemon is gone. */
async function work(host: RemoteNetworkHost, pods: readonly TestPod[]): Promise<void> {
  for (;;) {
    const pod = pods[Math.floor(Math.random() * pods.length)] as TestPod // there are some
    const { namespace, name, hostPort, acknowledged } = pod
    const wanted = acknowledged === 'up' ? 'down' : 'up'
    pod.acknowledged = undefined
    try {
      const portMappings = [{ hostPort, containerPort: 80, protocol: 'tcp' as const }]
      if (wanted === 'up') await host.setUpPod({ namespace, name, portMappings })
      else await host.tearDownPod({ namespace, name })
      pod.acknowledged = wanted
    } catch (error) {
      const code = isPodwireError(error) ? error.code : ''
      if (code === 'DAEMON_CONNECTION_LOST' || code === 'DAEMON_NOT_RUNNING') return
      throw error
    }
  }
}

/** What is left of the pods that are up, and of nobody else. */
async function look(host: RemoteNetworkHost, pods: readonly TestPod[]) {
  const records = new Map((await host.pods()).map((record) => [podKey(record.pod), record]))
  const up = pods.filter((pod) => records.has(podKey(pod)))
  const ips = [...records.values()].flatMap(({ status }) => status?.ips ?? [])
  const links = JSON.parse(
    execFileSync('ip', ['-json', 'link', 'show', 'type', 'veth'], { encoding: 'utf8' }),
  )
  const names = (dir: string) => namesIn(dir).filter((name) => !name.startsWith('.'))
  return {
    lost: pods.filter(({ acknowledged }) => acknowledged === 'up').filter((pod) => !records.has(podKey(pod))),
    undead: pods
      .filter(({ acknowledged }) => acknowledged === 'down')
      .filter((pod) => records.has(podKey(pod))),
    phases: [...new Set([...records.values()].map(({ phase }) => phase))].filter(
      (phase) => phase !== 'ready',
    ),
    addressesTwice: ips.length - new Set(ips).size,
    links: links.length - up.length,
    namespaces: readdirSync('/run/netns').length - up.length,
    claims: names(join(kubenet, 'addresses')).length - ips.length,
    records: names(join(kubenet, 'pods')).length - up.length,
    temporary: namesIn(join(stateDir, 'sandboxes')).filter((name) => name.startsWith('.')),
  }
}

const nothing = {
  lost: [],
  undead: [],
  phases: [],
  addressesTwice: 0,
  links: 0,
  namespaces: 0,
  claims: 0,
  records: 0,
  temporary: [],
}

describe.skipIf(!isIsolated())('a daemon', () => {
  test(
    `loses nothing and leaks nothing, killed at ${kills} moments under the load of ${clientCount} clients`,
    async () => {
      const { podwire, socket, startDaemon } = daemonProject({
        networkPlugin: 'kubenet',
        podCIDR: '10.90.0.0/20',
        stateDir,
      })
      const clients = Array.from({ length: clientCount }, (_, client) =>
        Array.from(
          { length: podsOfClient },
          (_, pod): TestPod => ({
            namespace: `client-${client}`,
            name: `pod-${pod}`,
            hostPort: 20_000 + client * podsOfClient + pod,
            acknowledged: 'down',
          }),
        ),
      )
      const pods = clients.flat()
      let acknowledged = 0

      for (let kill = 0; kill < kills; kill++) {
        const { child, end } = await startDaemon()
        const hosts = await Promise.all(clients.map(() => connectNetworkHost({ socket })))
        const [first] = hosts
        expect(await look(first as RemoteNetworkHost, pods), `after kill ${kill}`).toEqual(nothing)
        const working = Promise.all(
          clients.map((own, client) => work(hosts[client] as RemoteNetworkHost, own)),
        )
        await sleep(Math.random() * 600)
        child.kill('SIGKILL')
        await Promise.all([working, end])
        acknowledged += pods.filter((pod) => pod.acknowledged !== undefined).length
        for (const host of hosts) await host.close()
      }
      // Load that never came through would say nothing.
      expect(acknowledged).toBeGreaterThan(kills)

      const { child, end } = await startDaemon()
      const host = await connectNetworkHost({ socket })
      expect(await look(host, pods)).toEqual(nothing)
      await host.collectGarbage()
      await host.close()
      expect(podwire('prune', '--all')).toMatchObject({ status: 0, stderr: '' })
      child.kill('SIGTERM')
      expect(await end).toMatchObject({ code: 0 })
      expect(execFileSync('nft', ['list', 'ruleset'], { encoding: 'utf8' })).toBe('')
      expect(JSON.parse(execFileSync('ip', ['-json', 'link'], { encoding: 'utf8' }))).toHaveLength(1)
      expect(readdirSync('/run/netns')).toEqual([])
      expect(
        readdirSync(stateDir).filter((name) => name.startsWith('podwire.sock') || name === 'daemon.lock'),
      ).toEqual([])
    },
    120_000 + kills * 20_000,
  )
})
