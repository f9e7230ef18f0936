import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { isIsolated, recordingLogger } from '@podwire/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { hasEtcd, until } from '../../../.dev/etcd-server.ts'
import { type JoinOptions, joinCluster, keysOf, readMemberRecord, writeNetwork } from '../src/index.ts'
import { mustHaveWireguard } from '../src/routes/tunnels.ts'
import { useEtcd } from './etcd/use-etcd.ts'
import { afterThis, stateDir } from './leases/members.ts'

const sh = (command: string) => execFileSync('sh', ['-ec', command], { encoding: 'utf8' })
const lacksWireguard = await mustHaveWireguard().then(
  () => false,
  () => true,
)
const backend = { type: 'wireguard', port: 51_820, portV6: 51_821, mode: 'separate', keepalive: 0 } as const

describe.skipIf(!isIsolated() || !hasEtcd)('a network that WireGuard encrypts', () => {
  const etcd = useEtcd()
  let prefix = ''

  beforeEach(() => {
    sh('ip link add eth0 type bridge; ip link set eth0 up; ip addr add 192.0.2.1/24 dev eth0')
    prefix = etcd.nextPrefix()
  })
  afterEach(() => sh('ip link del eth0'))

  const options = (dir: string): JoinOptions => ({
    etcd: { endpoints: [etcd.server.endpoint], prefix },
    nodeName: 'a',
    interface: 'eth0',
    leaseTtl: 60,
    renewBefore: 30,
    stateDir: dir,
    log: recordingLogger(),
    onEvent: () => {},
  })

  test('with a secret that nobody is shown who would write another one', async () => {
    const presharedKey = Buffer.alloc(32, 's').toString('base64')
    const network = '10.244.0.0/16'
    await writeNetwork(etcd.client, keysOf(prefix), { network, backend: { ...backend, presharedKey } })
    const error = await writeNetwork(etcd.client, keysOf(prefix), { network, backend }).catch(
      (one: unknown) => one,
    )
    expect(error).toMatchObject({ code: 'NETWORK_EXISTS' })
    expect(JSON.stringify(error) + String(error)).not.toContain(presharedKey)
  })

  // Of a kernel that has it, npm run test:platforms tells.
  describe.skipIf(!lacksWireguard)('on a kernel that has none', () => {
    test('is not joined: it is said why and what to do, and nothing is leased', async () => {
      await writeNetwork(etcd.client, keysOf(prefix), { network: '10.244.0.0/16', backend })
      const dir = stateDir()
      const log = recordingLogger()
      await expect(joinCluster({ ...options(dir), log })).rejects.toMatchObject({
        code: 'WIREGUARD_UNAVAILABLE',
        message: expect.stringMatching(/this node's kernel, Linux \d.* has none.*modprobe wireguard/),
        exitCode: 2,
      })
      // Who starts it says it.
      expect(log.messages()).not.toContainEqual(expect.stringContaining('has none'))
      expect(await etcd.server.ctl('get', '--prefix', '--keys-only', `${prefix}/subnets/`)).toBe('')
      expect(sh('ip -br link; ip route show proto 80')).not.toContain('podwire')
      expect(existsSync(join(dir, 'cluster', 'wireguard.key'))).toBe(false)
      expect(readMemberRecord(dir)).toMatchObject({
        state: 'joining',
        reason: expect.stringContaining('has none'),
      })
    })

    test('which is found when etcd says so later: it says so, and joins once the network is another', async () => {
      const log = recordingLogger()
      const cluster = await joinCluster({ ...options(stateDir()), log })
      afterThis(() => cluster.stop({ release: true }))
      expect(cluster.problem).toContain('There is no network in etcd')
      await writeNetwork(etcd.client, keysOf(prefix), { network: '10.244.0.0/16', backend })
      await until(() => cluster.problem?.includes('WireGuard') === true)
      expect(cluster.holds()).toBe(false)
      expect(log.messages('warn')).toContainEqual(expect.stringContaining('has none'))
      const other = { network: '10.244.0.0/16', backend: { type: 'host-gw' } as const }
      await writeNetwork(etcd.client, keysOf(prefix), other, { force: true })
      await until(() => cluster.holds())
    })
  })
})
