import { execFileSync } from 'node:child_process'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { isIsolated, recordingLogger } from '@podwire/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { hasEtcd, until } from '../../../.dev/etcd-server.ts'
import type { Operation } from '../src/etcd/transaction.ts'
import { type ClusterEvent, joinCluster, keysOf, readMemberRecord, writeNetwork } from '../src/index.ts'
import { formatNodeValue } from '../src/layout/lease-value.ts'
import { vtepMacOf } from '../src/routes/vxlan-link.ts'
import { useEtcd } from './etcd/use-etcd.ts'
import { startProxy } from './faults/proxy.ts'
import { afterThis, stateDir } from './leases/members.ts'

const sh = (command: string) => execFileSync('sh', ['-ec', command], { encoding: 'utf8' })
setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')
/** What is left when nothing is garbage: what the process has is a matter of when that was collected. */
function retainedBytes(): number {
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
const countRoutes = () => Number(sh('ip route show proto 80 | wc -l'))

describe.skipIf(!isIsolated() || !hasEtcd)('a node that joins', () => {
  const etcd = useEtcd()
  let prefix = ''

  beforeEach(async () => {
    sh('ip link add eth0 type bridge; ip link set eth0 up; ip addr add 192.0.2.1/24 dev eth0')
    prefix = etcd.nextPrefix()
    const backend = { type: 'vxlan', vni: 1, port: 8472, directRouting: false } as const
    await writeNetwork(etcd.client, keysOf(prefix), { network: '10.0.0.0/8', backend })
  })
  afterEach(() => sh('ip link del podwire.1 2>/dev/null || true; ip link del eth0'))

  async function others(count: number): Promise<void> {
    const { id } = await etcd.client.grant(600)
    const puts = Array.from({ length: count }, (_, at): Operation => {
      const name = `10.${100 + (at >> 8)}.${at & 255}.0-24`
      const node = {
        nodeName: `other-${at}`,
        publicIP: `203.${at >> 8}.${at & 255}.1`,
        backendType: 'vxlan',
        vtepMac: vtepMacOf(`other-${at}`, 1, 4),
      }
      return { put: `${prefix}/subnets/${name}`, value: formatNodeValue(node, 1), lease: id }
    })
    while (puts.length > 0) await etcd.client.transaction([], puts.splice(0, 100))
  }

  async function join({ endpoint = etcd.server.endpoint, dir = stateDir() } = {}) {
    const events: ClusterEvent[] = []
    const log = recordingLogger()
    const cluster = await joinCluster({
      etcd: { endpoints: [endpoint], prefix },
      nodeName: 'a',
      interface: 'eth0',
      leaseTtl: 60,
      renewBefore: 30,
      stateDir: dir,
      log,
      onEvent: (event) => void events.push(event),
    })
    afterThis(() => cluster.stop({ release: true }))
    return { cluster, events, log, record: () => readMemberRecord(dir) }
  }

  test('says of each other node whether its pods are reached', async () => {
    await others(1)
    await etcd.client.transaction([], [{ put: `${prefix}/subnets/10.9.0.0-24`, value: 'garbage' }])
    await etcd.client.transaction(
      [],
      [{ put: `${prefix}/subnets/10.9.1.0-24`, value: '{"PublicIP":"192.0.2.9","BackendType":"host-gw"}' }],
    )
    const { cluster } = await join()
    await until(() => cluster.peers().length === 3)
    expect(cluster.peers()).toEqual([
      { podCIDR: '10.100.0.0/24', nodeName: 'other-0', publicIP: '203.0.0.1' },
      { podCIDR: '10.9.0.0/24', problem: 'what is written of it is not a lease' },
      {
        podCIDR: '10.9.1.0/24',
        publicIP: '192.0.2.9',
        problem: expect.stringContaining('its backend is host-gw'),
      },
    ])
  })

  test('withdraws its routes and tells when it is fenced, and has them again when it joins again', async () => {
    await others(2)
    const { cluster, events } = await join()
    await until(() => countRoutes() === 2)
    const guard = () => sh('nft list set inet podwire-cluster alive')
    // In the kernel, which goes on while this process does not.
    await until(() => guard().includes('expires'))
    await etcd.server.ctl('put', `${prefix}/config`, '{}')
    await etcd.server.ctl('del', `${prefix}/subnets/10.0.1.0-24`)
    await until(() => countRoutes() === 0)
    await until(() => !guard().includes('expires'))
    const backend = { type: 'vxlan', vni: 1, port: 8472, directRouting: false } as const
    await writeNetwork(etcd.client, keysOf(prefix), { network: '10.0.0.0/8', backend }, { force: true })
    await until(() => events.length === 3)
    expect(events.map(({ event }) => event)).toEqual(['joined', 'fenced', 'joined'])
    expect(cluster.holds()).toBe(true)
    await until(() => countRoutes() === 2 && guard().includes('expires'))
    await cluster.stop({ release: true })
    expect(countRoutes()).toBe(0)
    expect(sh('nft list tables')).not.toContain('podwire-cluster')
    expect(sh('ip -br link')).not.toContain('podwire')
  })

  test('starts in time beside an etcd that never answers, with the lease it had, and joins when it does', async () => {
    await others(1)
    const way = await startProxy(etcd.server.endpoint)
    const dir = stateDir()
    const first = await join({ endpoint: way.endpoint, dir })
    await first.cluster.stop()
    way.set('silent')
    for (const hadOne of [true, false]) {
      const began = performance.now()
      const { cluster } = await join({ endpoint: way.endpoint, dir: hadOne ? dir : stateDir() })
      expect(performance.now() - began).toBeLessThan(4_500)
      expect(cluster.holds()).toBe(hadOne)
      if (hadOne) await cluster.stop()
      else {
        way.set('open')
        await until(() => cluster.holds())
      }
    }
  })

  test('tells whoever looks that etcd is away, long before it is to renew, and that it is back', async () => {
    const way = await startProxy(etcd.server.endpoint)
    const { cluster, record, log } = await join({ endpoint: way.endpoint })
    expect(record()).toMatchObject({ state: 'joined' })
    expect(record()?.reason).toBeUndefined()
    way.set('refused')
    await until(() => record()?.reason !== undefined)
    expect(record()).toMatchObject({
      state: 'joined',
      reason: expect.stringMatching(/^etcd can't be reached to watch .*127\.0\.0\.1/),
    })
    expect(cluster.holds()).toBe(true)
    way.set('open')
    await until(() => record()?.reason === undefined)
    expect(log.messages()).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^cluster: the leases are not heard of: /),
        'cluster: the leases are heard of again',
      ]),
    )
  })

  // Last: what it takes is not what was loaded for the first.
  test('of a thousand has all their routes in two seconds, and takes 20 MB for them at most', async () => {
    await others(1_000)
    const before = retainedBytes()
    const began = performance.now()
    const { cluster, events } = await join()
    await until(() => countRoutes() === 1_000)
    expect(performance.now() - began).toBeLessThan(2_000)
    expect(retainedBytes() - before).toBeLessThan(20 * 2 ** 20)
    expect(cluster).toMatchObject({ problem: undefined, share: { podCIDR: '10.0.1.0/24', mtu: 1450 } })
    expect(cluster.peers()).toHaveLength(1_000)
    expect(events.map(({ event }) => event)).toEqual(['joined'])

    await etcd.client.transaction([], [{ delete: `${prefix}/subnets/10.100.7.0-24` }])
    await until(() => countRoutes() === 999)
    await cluster.stop()
    // Pods keep their networks.
    expect(countRoutes()).toBe(999)
  })
})
