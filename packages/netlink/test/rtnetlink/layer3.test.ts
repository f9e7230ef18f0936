import { describe, expect, it } from 'vitest'
import { addresses, links, neighbours, routes, rules } from '../../src/index.ts'
import { describeIsolated, useSandbox } from '../sandbox.ts'

describeIsolated('layer 3', () => {
  const box = useSandbox()
  const withLink = () => {
    box.netlink.runSync(
      links.add({ kind: 'veth', name: 'a', index: 40, up: true, peer: { name: 'b', index: 41 } }),
    )
    box.netlink.batchSync([links.set('b', { up: true }), addresses.add({ dev: 'a', address: '10.1.0.1/16' })])
  }

  describe('addresses', () => {
    it.each([
      [
        { address: '10.2.0.1/24', broadcast: '10.2.0.255', label: 'a:x' },
        { local: '10.2.0.1', prefixlen: 24, broadcast: '10.2.0.255', label: 'a:x', scope: 'global' },
      ],
      [
        { address: '10.3.0.1/32', peer: '10.3.0.2', scope: 'link' as const },
        { local: '10.3.0.1', address: '10.3.0.2', prefixlen: 32, scope: 'link' },
      ],
      [
        { address: 'fd00::1/64', noDad: true },
        { local: 'fd00::1', prefixlen: 64, nodad: true },
      ],
      [
        { address: '10.0.2.1/32', protocol: 80 },
        // As older versions of ip show no protocol.
        { local: '10.0.2.1', prefixlen: 32 },
      ],
      [
        { address: 'fd01::1/64', noPrefixRoute: true, validLifetime: 100, preferredLifetime: 50 },
        { local: 'fd01::1', noprefixroute: true, valid_life_time: expect.closeTo(100, -1) },
      ],
    ])('%j is what ip shows, ours reads the same, and it goes away', (address, says) => {
      withLink()
      box.netlink.runSync(addresses.add({ dev: 'a', ...address }))
      const [{ addr_info }] = box.json('ip -j address show dev a')
      expect(addr_info).toContainEqual(expect.objectContaining(says))
      const { validLifetime, preferredLifetime, ...stable } = address as Record<string, unknown>
      expect(box.netlink.runSync(addresses.list({ dev: 'a' }))).toContainEqual(
        expect.objectContaining({ dev: 40, ...stable }),
      )
      const before = addr_info.length
      box.netlink.runSync(addresses.replace({ dev: 'a', ...address }))
      expect(box.json('ip -j address show dev a')[0].addr_info).toHaveLength(before)
      box.netlink.runSync(addresses.del({ dev: 'a', ...address }))
      expect(box.run('ip address show dev a')).not.toContain(address.address.split('/')[0])
    })

    it('are listed by link and family, those of ip too', () => {
      withLink()
      box.run('ip address add 10.9.0.1/32 peer 10.9.0.2 dev b')
      expect(box.netlink.runSync(addresses.list({ dev: 'b', family: 'inet' }))).toMatchObject([
        { dev: 41, address: '10.9.0.1/32', peer: '10.9.0.2' },
      ])
      const ours = box.netlink.runSync(addresses.list()).map(({ address }) => address)
      const theirs = box
        .json('ip -j address')
        .flatMap((link: { addr_info: { local: string; prefixlen: number }[] }) =>
          link.addr_info.map(({ local, prefixlen }) =>
            local === '10.9.0.1' ? '10.9.0.1/32' : `${local}/${prefixlen}`,
          ),
        )
      expect(ours.sort()).toEqual(theirs.sort())
    })
  })

  describe('routes', () => {
    it.each([
      [
        { destination: 'default', gateway: '10.1.0.9', metric: 7, mtu: 1400 },
        { dst: 'default', gateway: '10.1.0.9', metric: 7, metrics: [{ mtu: 1400 }] },
      ],
      [
        { destination: '10.8.0.0/16', dev: 'a', source: '10.1.0.1' },
        { dst: '10.8.0.0/16', dev: 'a', prefsrc: '10.1.0.1', scope: 'link' },
      ],
      [
        { destination: '10.7.0.0/16', gateway: '192.168.9.9', dev: 'a', onlink: true },
        { dst: '10.7.0.0/16', gateway: '192.168.9.9', flags: ['onlink'] },
      ],
      [
        { destination: '10.6.0.0/16', type: 'blackhole' as const },
        { type: 'blackhole', dst: '10.6.0.0/16' },
      ],
      [
        { destination: '10.5.0.0/16', dev: 'a', table: 1000 },
        { dst: '10.5.0.0/16', dev: 'a' },
      ],
      [
        { destination: 'fd05::/64', dev: 'a', metric: 5 },
        { dst: 'fd05::/64', dev: 'a', metric: 5 },
      ],
    ])('%j is what ip shows, ours reads the same, and it goes away', (route, says) => {
      withLink()
      const table = (route as { table?: number }).table ?? 254
      const family = route.destination.includes(':') ? 6 : 4
      const shown = () => box.json(`ip -j -${family} route show table ${table}`)
      box.netlink.runSync(routes.add(route))
      expect(shown()).toContainEqual(expect.objectContaining(says))
      const { dev: _, ...readable } = route as Record<string, unknown>
      expect(box.netlink.runSync(routes.list({ table }))).toContainEqual(expect.objectContaining(readable))
      expect(() => box.netlink.runSync(routes.add(route))).toThrow(
        expect.objectContaining({ code: 'EEXIST' }),
      )
      box.netlink.runSync(routes.replace(route))
      box.netlink.runSync(routes.del(route))
      expect(shown()).not.toContainEqual(expect.objectContaining(says))
      expect(() => box.netlink.runSync(routes.del(route))).toThrow(expect.objectContaining({ code: 'ESRCH' }))
    })

    it('those of ip are read', () => {
      withLink()
      box.run('ip route add 10.66.0.0/16 via 10.1.0.5 metric 3 mtu 1300 src 10.1.0.1')
      expect(box.netlink.runSync(routes.list({ dev: 'a', family: 'inet' }))).toContainEqual(
        expect.objectContaining({
          destination: '10.66.0.0/16',
          gateway: '10.1.0.5',
          metric: 3,
          mtu: 1300,
          source: '10.1.0.1',
          dev: 40,
          table: 254,
        }),
      )
    })
  })

  it('neighbours: ours are what ip shows, ip’s are read, and they go away', () => {
    withLink()
    const entry = { dev: 'a', address: '10.1.0.7', lladdr: '0a:58:00:00:00:07' }
    box.netlink.runSync(neighbours.add(entry))
    box.netlink.runSync(neighbours.replace({ ...entry, lladdr: '0a:58:00:00:00:08' }))
    expect(() => box.netlink.runSync(neighbours.add(entry))).toThrow(
      expect.objectContaining({ code: 'EEXIST' }),
    )
    expect(box.json('ip -j neigh show dev a')).toContainEqual({
      dst: '10.1.0.7',
      lladdr: '0a:58:00:00:00:08',
      state: ['PERMANENT'],
    })
    box.run('ip neigh add fd00::9 lladdr 0a:58:00:00:00:09 dev a nud noarp router')
    expect(box.netlink.runSync(neighbours.list({ dev: 'a' }))).toContainEqual({
      family: 'inet6',
      dev: 40,
      address: 'fd00::9',
      lladdr: '0a:58:00:00:00:09',
      state: 'noarp',
      router: true,
      proxy: false,
    })
    box.netlink.runSync(neighbours.del(entry))
    expect(box.run('ip neigh show dev a')).not.toContain('10.1.0.7')
  })

  it('rules: ours are what ip shows, ip’s are read, and they go away', () => {
    const rule = {
      priority: 100,
      table: 1000,
      from: '10.1.0.0/16',
      to: '10.2.0.0/24',
      fwmark: 0x10,
      fwmask: 0xff,
      iif: 'lo',
    }
    box.netlink.runSync(rules.add(rule))
    expect(box.json('ip -j rule')).toContainEqual(
      expect.objectContaining({
        priority: 100,
        src: '10.1.0.0',
        srclen: 16,
        dst: '10.2.0.0',
        dstlen: 24,
        fwmark: '0x10',
        fwmask: '0xff',
        iif: 'lo',
        table: '1000',
      }),
    )
    box.run('ip -6 rule add not from fd00::/64 table 7 prio 50 suppress_prefixlength 0')
    expect(box.netlink.runSync(rules.list())).toEqual(
      expect.arrayContaining([
        { family: 'inet', not: false, ...rule },
        { family: 'inet6', not: true, priority: 50, table: 7, from: 'fd00::/64', suppressPrefixLength: 0 },
      ]),
    )
    box.netlink.runSync(rules.del(rule))
    expect(box.json('ip -j rule').map((shown: { priority: number }) => shown.priority)).not.toContain(100)
    expect(() => box.netlink.runSync(rules.del(rule))).toThrow(expect.objectContaining({ code: 'ENOENT' }))
  })
})
