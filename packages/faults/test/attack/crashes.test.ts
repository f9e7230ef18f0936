import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { check } from '../../src/checker/check.ts'
import { observe } from '../../src/checker/observe.ts'
import { openMachine } from '../../src/machine/machine.ts'
import { freshState, machineModel, SEATS } from '../../src/model/state.ts'
import { attempt, openHost, type PodOperation, type Run, verify } from '../../src/model/step.ts'
import { datapathNames, describeAttack, isAll, run, useHosts, web } from './attacker.ts'

describeAttack('a host that ends at any moment', () => {
  const open = useHosts()

  // With PODWIRE_FAULTS=all as often as the attack was that found it.
  const rounds = isAll ? 100 : 12
  test.each(datapathNames)(
    'kill -9 during a change of ports and limits, again and again: records and kernel stay together (%s)',
    async (datapath) => {
      const machine = await openMachine(SEATS)
      const tried: Run = { machine, insiders: new Map(), steps: 0, hasConnections: false }
      const state = freshState(machine.root, datapath)
      const settings = (round: number): PodOperation['wanted'] => ({
        ports: [0, 1].map((index) => ({
          hostPort: 7000 + index + (round % 3),
          containerPort: 80,
          protocol: 'tcp',
        })),
        bandwidth: { ingress: (10 + (round % 2)) * 1_000_000, egress: (10 + (round % 3)) * 1_000_000 },
      })
      try {
        for (const seat of [0, 1]) await openHost(tried, state, seat)
        verify(tried, state, [await attempt(tried, state, { seat: 0, pod: 'p0', wanted: settings(0) })])
        for (let round = 1; round <= rounds; round++) {
          const begun = attempt(tried, state, { seat: 0, pod: 'p0', wanted: settings(round) })
          await sleep(Math.random() * 15)
          await machine.kill(0)
          const result = await begun
          await openHost(tried, state, 0)
          verify(tried, state, [result])
        }
        verify(tried, state, [await attempt(tried, state, { seat: 1, pod: 'p0', wanted: undefined })])
        expect(
          check(machineModel(state, true), observe(state.places.map(({ stateDir }) => stateDir))),
        ).toEqual([])
      } finally {
        await machine.reset()
        await machine.close()
      }
    },
    600_000,
  )

  const deadPods = isAll ? 400 : 100
  test('hundreds of pods whose namespaces are gone are recovered by one start, whole', async () => {
    const { stateDir, host, again } = await open({ podCIDR: '10.88.0.0/22' })
    const pods = Array.from({ length: deadPods }, (_, index) => ({
      ...web,
      name: `dead-${index}`,
      portMappings: [{ hostPort: 9000 + index, containerPort: 80, protocol: 'tcp' as const }],
    }))
    await Promise.all(pods.map((pod) => host.setUpPod(pod)))
    for (const name of readdirSync('/run/netns')) run('ip', 'netns', 'delete', name)
    const next = await again()
    expect(await next.pods()).toEqual([])
    expect(check({ hosts: [] }, observe([stateDir]))).toEqual([])
  }, 240_000)

  test.each(datapathNames)(
    'up again gives back whatever of the network somebody deleted (%s)',
    async (datapath) => {
      const { host } = await open({ datapath })
      const { pod, status } = await host.setUpPod(web)
      const inside = (...args: string[]) => run('ip', '-n', pod.netns.slice('/run/netns/'.length), ...args)
      const harms = [
        () => inside('link', 'del', 'eth0'),
        () => inside('addr', 'flush', 'dev', 'eth0'),
        () => inside('route', 'del', 'default'),
        () => run('nft', 'flush', 'ruleset'),
        ...(datapath === 'bridge'
          ? [() => run('ip', 'link', 'del', 'cbr0')]
          : [() => run('ip', 'addr', 'del', '10.88.0.1/32', 'dev', 'lo')]),
      ]
      const server = createServer((socket) => socket.destroy()).listen(7777)
      await once(server, 'listening')
      const connect = 'exec 3<>/dev/tcp/10.88.0.1/7777'
      for (const harm of harms) {
        harm()
        await expect(host.checkPod(web)).rejects.toThrow()
        expect((await host.setUpPod(web)).status).toEqual(status)
        run('nsenter', `--net=${pod.netns}`, 'timeout', '20', 'bash', '-c', connect)
        await host.checkPod(web)
      }
      server.close()
    },
  )
})
