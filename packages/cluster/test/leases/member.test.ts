import { describe, expect, test } from 'vitest'
import { hasEtcd, until } from '../../../../.dev/etcd-server.ts'
import { keysOf } from '../../src/layout/keys.ts'
import { bootTime } from '../../src/leases/clock.ts'
import { readMemberRecord } from '../../src/leases/member-file.ts'
import { readNetwork, writeNetwork } from '../../src/leases/network.ts'
import { listLeases, releaseLease, reserveLease } from '../../src/leases/release.ts'
import { useEtcd } from '../etcd/use-etcd.ts'
import { member, stateDir, watchLeases } from './members.ts'

describe.skipIf(!hasEtcd)('a node and its lease', () => {
  const etcd = useEtcd()
  let prefix = ''

  /** A network of this test's own. */
  async function network(cidr = '10.244.0.0/16') {
    prefix = etcd.nextPrefix()
    await writeNetwork(etcd.client, keysOf(prefix), { network: cidr, backend: { type: 'host-gw' } })
    return prefix
  }
  const node = (options: Parameters<typeof member>[1] = {}) =>
    member([etcd.server.endpoint], { prefix, ...options })
  const revision = async () => (await etcd.client.list(`${prefix}/`)).revision
  const leases = async () =>
    (await listLeases(etcd.client, keysOf(prefix))).map(({ key, node, lease }) => [
      key.split('/').at(-1),
      node?.nodeName,
      lease !== undefined,
    ])

  const reserve = async (keys: ReturnType<typeof keysOf>, podCIDR: string) =>
    reserveLease(etcd.client, keys, (await readNetwork(etcd.client, keys)).network, { podCIDR })

  test('takes the first that was never used, and tells the others how it is reached', async () => {
    await network()
    const one = node({ nodeName: 'a', publicIP: '192.0.2.1' })
    await one.attempted
    expect(one.podCIDR()).toBe('10.244.1.0/24')
    const entry = await etcd.client.get(`${prefix}/subnets/10.244.1.0-24`)
    expect(JSON.parse(entry?.value ?? '')).toMatchObject({
      PublicIP: '192.0.2.1',
      BackendType: 'host-gw',
      NodeName: 'a',
    })
    expect(entry?.lease).toBeDefined()
    expect(one.holds()).toBe(true)
  })

  test('says what to do where there is no network, and joins when there is one', async () => {
    prefix = etcd.nextPrefix()
    const one = node()
    await one.attempted
    expect(one.membership).toMatchObject({
      state: 'joining',
      reason: expect.stringContaining('podwire cluster init'),
    })
    await writeNetwork(etcd.client, keysOf(prefix), { network: '10.1.0.0/16', backend: { type: 'host-gw' } })
    await until(() => one.podCIDR() === '10.1.1.0/24')
  })

  test('renews it, and is still there after several times its length', async () => {
    await network()
    const one = node({ leaseTtl: 5, renewBefore: 4 })
    await one.attempted
    const ends = one.membership.state === 'joined' ? one.membership.lease.endsAt! : 0
    await until(() => bootTime() > ends + 3_000)
    expect(one.history).toHaveLength(1)
    expect(await leases()).toEqual([['10.244.1.0-24', one.nodeName, true]])
  })

  test('writes once into etcd for each renewal, and nothing while it waits for a subnet', async () => {
    await network('10.244.0.0/23')
    const one = node({ leaseTtl: 5, renewBefore: 4 })
    await one.attempted
    const endsAt = () => (one.membership.state === 'joined' ? (one.membership.lease.endsAt ?? 0) : 0)
    // A lease's end is no key, and counts in no revision: so that the first renewal is not missed, all are counted from it on.
    const ends = new Set([endsAt()])
    const from = await revision()
    const waiting = node({ leaseTtl: 5, renewBefore: 4 })
    await until(() => {
      ends.add(endsAt())
      return ends.size === 5
    })
    expect(waiting.holds()).toBe(false)
    // One may be written, and not be heard of yet.
    expect((await revision()) - from - (ends.size - 1)).toBeOneOf([0, 1])
  })

  test('has the same again after a restart, and after it was away for longer than its lease', async () => {
    await network()
    const dir = stateDir()
    const first = node({ nodeName: 'a', publicIP: '192.0.2.1', dir })
    await first.attempted
    await first.stop()
    const again = node({ nodeName: 'a', publicIP: '192.0.2.1', dir })
    await again.attempted
    expect(again.podCIDR()).toBe('10.244.1.0/24')
    await again.stop({ release: true })
    expect(await leases()).toEqual([])
    const other = node()
    await other.attempted
    // Never used ones come before those of others.
    expect(other.podCIDR()).toBe('10.244.2.0/24')
    const late = node({ nodeName: 'a', publicIP: '192.0.2.1', dir })
    await late.attempted
    expect(late.podCIDR()).toBe('10.244.1.0/24')
  })

  test('that is started again with another length for leases keeps the one it has, and tells', async () => {
    await network()
    const dir = stateDir()
    const options = { nodeName: 'a', publicIP: '192.0.2.1', dir }
    const one = node({ ...options, leaseTtl: 6, renewBefore: 3 })
    await one.attempted
    await one.stop()
    const again = node({ ...options, leaseTtl: 86_400, renewBefore: 43_200 })
    const endsAt = () => (again.membership.state === 'joined' ? (again.membership.lease.endsAt ?? 0) : 0)
    const ends = [endsAt()]
    await again.attempted
    expect(again.log.messages('warn')).toEqual([
      expect.stringMatching(
        /^cluster: the lease of 10\.244\.1\.0\/24 was begun for 6 s, .* leaseTTL, 24 h now, .* podwire cluster release 10\.244\.1\.0\/24 --force$/,
      ),
    ])
    // It is renewed when half of it is over, not all the time because it is short.
    await until(() => {
      if (endsAt() !== ends.at(-1)) ends.push(endsAt())
      return ends.length === 4
    })
    const [, first = 0, second = 0, third = 0] = ends
    expect([second - first, third - second]).toEqual([
      expect.toSatisfy((ms: number) => ms >= 2_000),
      expect.toSatisfy((ms: number) => ms >= 2_000),
    ])
    await releaseLease(etcd.client, keysOf(prefix), 'a', { force: true })
    await until(() => endsAt() > bootTime() + 86_000_000)
    expect(again.podCIDR()).toBe('10.244.1.0/24')
  })

  test('that is started again takes a network that was written anew meanwhile', async () => {
    await network()
    const dir = stateDir()
    const one = node({ nodeName: 'a', publicIP: '192.0.2.1', dir })
    await one.attempted
    await one.stop()
    const vxlan = { type: 'vxlan', vni: 1, port: 8472, directRouting: false } as const
    await writeNetwork(
      etcd.client,
      keysOf(prefix),
      { network: '10.244.0.0/16', backend: vxlan },
      { force: true },
    )
    const again = node({ nodeName: 'a', publicIP: '192.0.2.1', dir })
    // Its pods go on at once, by what it knew.
    expect(again.podCIDR()).toBe('10.244.1.0/24')
    await again.attempted
    expect(again.membership).toMatchObject({ state: 'joined', network: { backend: vxlan } })
    expect(again.podCIDR()).toBe('10.244.1.0/24')
    const entry = await etcd.client.get(`${prefix}/subnets/10.244.1.0-24`)
    expect(JSON.parse(entry?.value ?? '')).toMatchObject({ BackendType: 'vxlan', NodeName: 'a' })
  })

  test('is found by its name and address where nothing is left of before', async () => {
    await network()
    const first = node({ nodeName: 'a', publicIP: '192.0.2.1' })
    await first.attempted
    await first.stop()
    const again = node({ nodeName: 'a', publicIP: '192.0.2.1' })
    await again.attempted
    expect(again.podCIDR()).toBe('10.244.1.0/24')
  })

  test('takes over what flannel had at its address', async () => {
    await network()
    await etcd.server.ctl(
      'put',
      `${prefix}/subnets/10.244.7.0-24`,
      '{"PublicIP":"192.0.2.9","BackendType":"vxlan"}',
    )
    const { id } = await etcd.client.grant(60)
    await etcd.client.transaction(
      [],
      [
        {
          put: `${prefix}/subnets/10.244.7.0-24`,
          value: '{"PublicIP":"192.0.2.9","BackendType":"vxlan"}',
          lease: id,
        },
      ],
    )
    const one = node({ publicIP: '192.0.2.9' })
    await one.attempted
    expect(one.podCIDR()).toBe('10.244.7.0/24')
  })

  test('of two with one name the second is refused, and told who the first is', async () => {
    await network()
    const first = node({ nodeName: 'twin', publicIP: '192.0.2.1' })
    await first.attempted
    const second = node({ nodeName: 'twin', publicIP: '192.0.2.2' })
    await second.attempted
    expect(second.membership).toMatchObject({
      state: 'joining',
      reason: expect.stringMatching(
        /twin at 192\.0\.2\.2 .*of that name at 192\.0\.2\.1 has 10\.244\.1\.0\/24/,
      ),
    })
    expect(first.holds()).toBe(true)
    await releaseLease(etcd.client, keysOf(prefix), 'twin', { force: true })
    await until(() => second.podCIDR() !== undefined || first.podCIDR() !== undefined)
  })

  test('of two with one public address the second is refused, and told who the first is', async () => {
    await network()
    const first = node({ nodeName: 'a', publicIP: '192.0.2.1' })
    await first.attempted
    const second = node({ nodeName: 'b', publicIP: '192.0.2.1' })
    await second.attempted
    expect(second.membership).toMatchObject({
      state: 'joining',
      reason: expect.stringContaining('that of node a'),
    })
    expect(first.holds()).toBe(true)
  })

  test('of two with one name and one address the newer has the lease, and the older is fenced for good', async () => {
    await network()
    const first = node({ nodeName: 'a', publicIP: '192.0.2.1' })
    await first.attempted
    const second = node({ nodeName: 'a', publicIP: '192.0.2.1' })
    await second.attempted
    await until(() => !first.holds())
    expect(first.membership).toMatchObject({
      state: 'fenced',
      reason: expect.stringContaining('Another daemon'),
    })
    expect(second.podCIDR()).toBe('10.244.1.0/24')
    await second.stop({ release: true })
    await until(() => first.holds())
  })

  test.each([
    ['deleted', async (key: string) => etcd.server.ctl('del', key)],
    ['overwritten with garbage', async (key: string) => etcd.server.ctl('put', key, 'garbage {')],
    [
      'stolen',
      async (key: string) => etcd.server.ctl('put', key, '{"PublicIP":"192.0.2.66","BackendType":"host-gw"}'),
    ],
  ])('whose lease is %s is fenced at once, and says why', async (_how, harm) => {
    await network()
    const one = node({ leaseTtl: 600, renewBefore: 300 })
    await one.attempted
    await harm(`${prefix}/subnets/10.244.1.0-24`)
    await until(() => one.history.some(({ state }) => state === 'fenced'))
    expect(one.history[1]).toMatchObject({ state: 'fenced', reason: expect.stringContaining('10.244.1.0') })
    await until(() => one.holds())
    // What somebody has is left to them.
    expect(one.podCIDR()).toBe(_how === 'deleted' ? '10.244.1.0/24' : '10.244.2.0/24')
  })

  test('is fenced before its lease ends when etcd is away, not long before, and joins again', async () => {
    await network()
    const one = node({ leaseTtl: 6, renewBefore: 3 })
    await one.attempted
    await etcd.server.kill()
    await until(() => one.membership.reason !== undefined)
    expect(one.membership).toMatchObject({
      state: 'joined',
      reason: expect.stringContaining("can't be reached"),
    })
    const last = readMemberRecord(one.stateDir)?.lease?.endsAt ?? 0
    await until(() => one.membership.state === 'fenced')
    expect(bootTime()).toBeLessThan(last)
    expect(bootTime()).toBeGreaterThan(last - 2_500)
    expect(one.holds()).toBe(false)
    await etcd.server.restart()
    await until(() => one.holds())
    expect(one.podCIDR()).toBe('10.244.1.0/24')
  })

  test('says in the log that a lease could not be renewed, and that it is renewed again', async () => {
    await network()
    const one = node({ leaseTtl: 60, renewBefore: 59 })
    await one.attempted
    await etcd.server.kill()
    await until(() => one.membership.reason !== undefined)
    await etcd.server.restart()
    await until(() => one.membership.reason === undefined)
    expect(one.membership).toMatchObject({ state: 'joined' })
    await until(() => one.log.messages('info').includes('cluster: the leases are heard of again'))
    expect(one.log.messages('info')).toContain('cluster: the lease of 10.244.1.0/24 is renewed again')
  })

  test('keeps the lease of before while etcd is away at its start, and no longer than it lasts', async () => {
    await network()
    const dir = stateDir()
    const first = node({ nodeName: 'a', publicIP: '192.0.2.1', dir, leaseTtl: 8, renewBefore: 4 })
    await first.attempted
    await first.stop()
    await etcd.server.kill()
    const again = node({ nodeName: 'a', publicIP: '192.0.2.1', dir, leaseTtl: 8, renewBefore: 4 })
    expect(again.podCIDR()).toBe('10.244.1.0/24')
    expect(again.holds()).toBe(true)
    await until(() => again.membership.state === 'fenced')
    await again.stop()
    const late = node({ nodeName: 'a', publicIP: '192.0.2.1', dir })
    expect(late.holds()).toBe(false)
    await etcd.server.restart()
    await until(() => late.podCIDR() === '10.244.1.0/24')
  })

  test('that slept past its lease holds nothing from the first look on', async () => {
    await network()
    let asleep = 0
    const one = node({ leaseTtl: 600, renewBefore: 10, now: () => bootTime() + asleep })
    await one.attempted
    asleep = 700_000
    expect(one.holds()).toBe(false)
    expect(one.history.at(-1)).toMatchObject({ state: 'fenced' })
  })

  test('gets what is reserved for it, and what is reserved stays so', async () => {
    await network()
    const keys = keysOf(prefix)
    const { network: shared } = await readNetwork(etcd.client, keys)
    await reserveLease(etcd.client, keys, shared, { podCIDR: '10.244.1.0/24' })
    await reserveLease(etcd.client, keys, shared, { podCIDR: '10.244.9.0/24', nodeName: 'a' })
    const [a, b] = [node({ nodeName: 'a' }), node({ nodeName: 'b' })]
    await Promise.all([a.attempted, b.attempted])
    await until(() => a.holds() && b.holds())
    expect([a.podCIDR(), b.podCIDR()]).toEqual(['10.244.9.0/24', '10.244.2.0/24'])
    await Promise.all([a.stop(), b.stop()])
    expect(await leases()).toEqual([
      ['10.244.1.0-24', undefined, false],
      ['10.244.2.0-24', 'b', true],
      ['10.244.9.0-24', 'a', false],
    ])
    const again = node({ nodeName: 'a', dir: a.stateDir, publicIP: '192.0.2.200' })
    await again.attempted
    expect(again.membership).toMatchObject({ reason: expect.stringContaining('of that name') })
    await expect(releaseLease(etcd.client, keys, 'a')).rejects.toMatchObject({
      code: 'LEASE_IN_USE',
      message: expect.stringMatching(
        /^10\.244\.9\.0\/24 is reserved for node a at 198\.51\.100\.\d+, and has no end\. .*release 10\.244\.9\.0\/24 --force$/,
      ),
    })
    await releaseLease(etcd.client, keys, 'a', { force: true })
    await until(() => again.podCIDR() === '10.244.9.0/24')
    await expect(reserveLease(etcd.client, keys, shared, { podCIDR: '10.244.8.0/22' })).rejects.toMatchObject(
      {
        code: 'RESERVATION_INVALID',
        message: expect.stringMatching(
          /10\.244\.9\.0\/24 is reserved for node a at 192\.0\.2\.200\. Release it first: podwire cluster release 10\.244\.9\.0\/24$/,
        ),
      },
    )
    await expect(reserveLease(etcd.client, keys, shared, { podCIDR: '10.9.0.0/24' })).rejects.toThrow(
      'not in the network',
    )
    await expect(releaseLease(etcd.client, keys, 'none')).rejects.toMatchObject({ code: 'NO_SUCH_LEASE' })
  })

  test('is not released by others while it has its lease, unless that is forced', async () => {
    await network()
    const one = node({ nodeName: 'a', publicIP: '192.0.2.1', leaseTtl: 600, renewBefore: 300 })
    await one.attempted
    const keys = keysOf(prefix)
    for (const name of ['a', '10.244.1.0/24'])
      await expect(releaseLease(etcd.client, keys, name)).rejects.toMatchObject({
        code: 'LEASE_IN_USE',
        message: expect.stringMatching(
          /^10\.244\.1\.0\/24 is leased to node a at 192\.0\.2\.1, which has it for \d+ min more, and was heard of \d+ s ago\. Nothing was released/,
        ),
      })
    expect(one.holds()).toBe(true)
    await releaseLease(etcd.client, keys, 'a', { force: true })
    await until(() => one.history.some(({ state }) => state === 'fenced'))
    await until(() => one.holds())
    // What can't be read may be somebody's all the same.
    const { id } = await etcd.client.grant(60)
    await etcd.client.transaction([], [{ put: `${keys.subnets}10.244.9.0-24`, value: '{', lease: id }])
    await expect(releaseLease(etcd.client, keys, '10.244.9.0/24')).rejects.toThrow('not a lease')
    await reserve(keys, '10.244.8.0/24')
    await releaseLease(etcd.client, keys, '10.244.8.0/24')
  })

  test('all are listed in the order of their numbers', async () => {
    await network()
    const keys = keysOf(prefix)
    const subnets = ['10.244.9.0/24', '10.244.100.0/24', '10.244.20.0/24']
    for (const one of subnets) await reserve(keys, one)
    expect((await leases()).map(([name]) => name)).toEqual([
      '10.244.9.0-24',
      '10.244.20.0-24',
      '10.244.100.0-24',
    ])
  })

  test('takes away no reservation that it can not have, which is refused where it is told in time', async () => {
    prefix = etcd.nextPrefix()
    const keys = keysOf(prefix)
    await writeNetwork(etcd.client, keys, {
      network: '10.244.0.0/16',
      ipv6Network: 'fd00:244::/48',
      backend: { type: 'host-gw' },
    })
    const { network: shared } = await readNetwork(etcd.client, keys)
    const one = { podCIDR: '10.244.9.0/24', nodeName: 'a' }
    await expect(reserveLease(etcd.client, keys, shared, one)).rejects.toThrow('a /24 and a /64')
    const both = { podCIDR: '10.244.9.0/24,fd00:244:0:9::/64', nodeName: 'bad name!' }
    await expect(reserveLease(etcd.client, keys, shared, both)).rejects.toThrow('"bad name!"')
    await etcd.client.transaction(
      [],
      [{ put: `${keys.subnets}10.244.1.0-24`, value: '{"NodeName":"a","BackendType":"reserved"}' }],
    )
    const a = node({ nodeName: 'a' })
    await a.attempted
    expect(a.podCIDR()).toBe('10.244.2.0/24,fd00:244:0:1::/64')
    expect(await leases()).toContainEqual(['10.244.1.0-24', 'a', false])
  })

  test('of a full network is told so, and gets the first that is released', async () => {
    await network('10.244.0.0/23')
    const first = node()
    await first.attempted
    const second = node()
    await second.attempted
    expect(second.membership).toMatchObject({
      reason: expect.stringContaining('No pod CIDR of 10.244.0.0/23 is free'),
    })
    await first.stop({ release: true })
    await until(() => second.podCIDR() === '10.244.1.0/24')
  })

  test('twenty at once get a pod CIDR each, and none twice', async () => {
    await network('10.244.0.0/16')
    const watching = watchLeases(etcd.client, prefix)
    const nodes = Array.from({ length: 20 }, () => node({ leaseTtl: 60, renewBefore: 30 }))
    await until(() => nodes.every((one) => one.holds()))
    expect(new Set(nodes.map((one) => one.podCIDR())).size).toBe(20)
    await until(() => watching.held.size === 20)
    await watching.stop()
    expect(watching.violations).toEqual([])
  })

  test('a network is written once, and another one only by force', async () => {
    await network()
    const keys = keysOf(prefix)
    const same = { network: '10.244.0.0/16', backend: { type: 'host-gw' } } as const
    await writeNetwork(etcd.client, keys, same)
    const other = { ...same, network: '10.245.0.0/16' }
    await expect(writeNetwork(etcd.client, keys, other)).rejects.toMatchObject({ code: 'NETWORK_EXISTS' })
    await writeNetwork(etcd.client, keys, other, { force: true })
    await etcd.server.ctl('put', keys.config, 'garbage')
    await expect(readNetwork(etcd.client, keys)).rejects.toMatchObject({ code: 'NETWORK_INVALID' })
    await expect(
      writeNetwork(etcd.client, keys, { ...same, network: '10.0.0.0/33' }, { force: true }),
    ).rejects.toThrow('CIDR')
  })
})
