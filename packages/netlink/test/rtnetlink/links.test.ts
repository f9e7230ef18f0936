import { expect, it } from 'vitest'
import { createNetns, links, readSysctl } from '../../src/index.ts'
import { describeIsolated, ownName, ownNetns, useSandbox } from '../sandbox.ts'

describeIsolated('links', () => {
  const box = useSandbox()
  const shown = (name: string) => box.json(`ip -j -d link show ${name}`)[0]

  it('veth: both ends are made as asked, the peer right in its namespace', () => {
    const { netlink } = box
    createNetns(ownNetns('pod'))
    netlink.runSync(links.add({ kind: 'bridge', name: 'br0', up: true }))
    netlink.runSync(
      links.add({
        kind: 'veth',
        name: 'host0',
        index: 77,
        mtu: 1400,
        address: '0a:58:00:00:00:01',
        master: 'br0',
        group: 9,
        up: true,
        txQueueLength: 500,
        peer: { name: 'eth0', netns: ownNetns('pod'), mtu: 1300, address: '0a:58:00:00:00:02', index: 5 },
      }),
    )
    expect(shown('host0')).toMatchObject({
      ifindex: 77,
      mtu: 1400,
      address: '0a:58:00:00:00:01',
      master: 'br0',
      group: '9',
      txqlen: 500,
      linkinfo: { info_kind: 'veth' },
      flags: expect.arrayContaining(['UP']),
    })
    const [peer] = JSON.parse(box.run(`ip netns exec ${ownName('pod')} ip -j link show eth0`))
    expect(peer).toMatchObject({ ifindex: 5, mtu: 1300, address: '0a:58:00:00:00:02', link_index: 77 })
  })

  it.each([
    {
      add: {
        kind: 'bridge',
        name: 'b',
        stp: true,

        multicastSnooping: false,
        forwardDelay: 400,
        ageingTime: 1000,
      } as const,
      says: { stp_state: 1, mcast_snooping: 0, forward_delay: 400, ageing_time: 1000 },
    },
    {
      add: {
        kind: 'vxlan',
        name: 'x',
        vni: 42,
        local: '10.0.0.1',
        remote: '10.0.0.2',
        port: 8472,
        learning: false,
      } as const,
      says: { id: 42, local: '10.0.0.1', remote: '10.0.0.2', port: 8472, learning: false },
    },
    {
      add: { kind: 'vxlan', name: 'x6', vni: 43, local: 'fd00::1', remote: 'fd00::2' } as const,
      says: { id: 43, local6: 'fd00::1', remote6: 'fd00::2', port: 4789 },
    },
    { add: { kind: 'ifb', name: 'i' } as const, says: undefined },
  ])('$add.kind $add.name: is what ip shows', ({ add, says }) => {
    box.netlink.runSync(links.add(add))
    const { info_kind, info_data } = shown(add.name).linkinfo
    expect(info_kind).toBe(add.kind)
    if (says) expect(info_data).toMatchObject(says)
  })

  it('add: a veth has the queues that it was given', () => {
    box.netlink.runSync(links.add({ kind: 'veth', name: 'a', queues: 1, peer: { name: 'b', queues: 3 } }))
    expect(shown('a')).toMatchObject({ num_tx_queues: 1, num_rx_queues: 1 })
    expect(shown('b')).toMatchObject({ num_tx_queues: 3, num_rx_queues: 3 })
  })

  it('a name may be that of a link made in the same batch', () => {
    const { netlink } = box
    const [, { index }, , { up }] = netlink.batchSync([
      links.add({ kind: 'veth', name: 'a', peer: { name: 'b' } }),
      links.brief('a'),
      links.set('a', { up: true }),
      links.brief('a'),
    ])
    expect({ index, up }).toEqual({ index: shown('a').ifindex, up: true })
    netlink.batchSync([links.add({ kind: 'ifb', name: 'i' }), links.del('i')])
    expect(() => netlink.runSync(links.get('i'))).toThrow(expect.objectContaining({ code: 'ENODEV' }))
  })

  it('brief: index, state and the other end are those that get tells', () => {
    const { netlink } = box
    netlink.batchSync([
      links.add({ kind: 'veth', name: 'a', up: true, peer: { name: 'b' } }),
      links.set('b', { up: true }),
    ])
    const { index, up, running, link } = netlink.runSync(links.get('a'))
    expect(netlink.runSync(links.brief('a'))).toEqual({ index, up, running, link })
    expect(link).toBe(shown('b').ifindex)
    expect(netlink.runSync(links.brief('lo'))).not.toHaveProperty('link')
  })

  it('set: each setting is what ip shows, and is undone again', () => {
    const { netlink } = box
    netlink.batchSync([
      links.add({ kind: 'bridge', name: 'br0' }),
      links.add({ kind: 'veth', name: 'a', peer: { name: 'b' } }),
    ])
    netlink.runSync(
      links.set('a', {
        mtu: 1280,
        group: 4,
        up: true,
        promiscuous: true,
        master: 'br0',
        alias: 'pod x',
        address: '0a:58:00:00:00:07',
        addrGenMode: 'none',
      }),
    )
    expect(shown('a')).toMatchObject({
      mtu: 1280,
      group: '4',
      master: 'br0',
      ifalias: 'pod x',
      address: '0a:58:00:00:00:07',
      inet6_addr_gen_mode: 'none',
      flags: expect.arrayContaining(['UP', 'PROMISC']),
    })
    netlink.runSync(links.set('a', { up: false, promiscuous: false, master: null, group: 0, name: 'c' }))
    const after = shown('c')
    expect(after.flags).not.toContain('UP')
    expect(after.flags).not.toContain('PROMISC')
    expect(after).not.toHaveProperty('master')
    expect(after.group).toBe('default')
  })

  it('bridge ports: hairpin, isolation, learning and flooding are what bridge shows', () => {
    const { netlink } = box
    netlink.runSync(links.add({ kind: 'bridge', name: 'br0' }))
    netlink.runSync(links.add({ kind: 'veth', name: 'a', master: 'br0', peer: { name: 'b' } }))
    netlink.runSync(
      links.set('a', { bridgePort: { hairpin: true, isolated: true, learning: false, flood: false } }),
    )
    expect(box.json('bridge -j -d link show dev a')[0]).toMatchObject({
      hairpin: true,
      isolated: true,
      learning: false,
      flood: false,
    })
    expect(netlink.runSync(links.get('a')).bridgePort).toEqual({
      hairpin: true,
      isolated: true,
      learning: false,
      flood: false,
    })
    netlink.runSync(links.set('a', { bridgePort: { hairpin: false } }))
    expect(box.json('bridge -j -d link show dev a')[0]).toMatchObject({ hairpin: false, isolated: true })
    expect(() => netlink.runSync(links.set('lo', { bridgePort: { hairpin: true } }))).toThrow(
      expect.objectContaining({ code: 'EOPNOTSUPP' }),
    )
  })

  it('move to another namespace, by path', () => {
    createNetns(ownNetns('pod'))
    box.netlink.runSync(links.add({ kind: 'veth', name: 'a', peer: { name: 'b' } }))
    box.netlink.runSync(links.set('b', { netns: ownNetns('pod'), name: 'eth0' }))
    expect(box.run(`ip netns exec ${ownName('pod')} ip -br link`)).toContain('eth0@')
  })

  it('what ip made is read as ip shows it', () => {
    box.run('ip link add br0 type bridge stp_state 1 forward_delay 200')
    box.run('ip link add name a mtu 1350 address 0a:58:00:00:00:01 type veth peer name b')
    box.run('ip link set dev a master br0 group 3 promisc on alias hello up')
    box.run('ip link set dev b up')
    box.run('bridge link set dev a hairpin on')
    box.run('ip link add x type vxlan id 9 dstport 4789 local 10.1.1.1 dev br0')
    const all = new Map(box.netlink.runSync(links.list()).map((link) => [link.name, link]))
    for (const ip of box.json('ip -j -d link')) {
      const link = all.get(ip.ifname)
      expect(link).toMatchObject({
        index: ip.ifindex,
        mtu: ip.mtu,
        address: ip.address,
        up: ip.flags.includes('UP'),
        promiscuity: ip.promiscuity,
      })
      expect(link?.operState).toBe(ip.operstate.toLowerCase())
    }
    expect(all.size).toBe(5)
    const br0 = all.get('br0')!
    expect(br0.bridge).toMatchObject({ stp: true, forwardDelay: 200 })
    expect(all.get('a')).toMatchObject({
      kind: 'veth',
      master: br0.index,
      group: 3,
      promiscuous: true,
      alias: 'hello',
      link: all.get('b')!.index,
      bridgePort: { hairpin: true },
    })
    expect(all.get('x')!.vxlan).toMatchObject({ vni: 9, port: 4789, local: '10.1.1.1', link: br0.index })
    expect(
      box.netlink
        .runSync(links.list({ kind: 'veth' }))
        .map(({ name }) => name)
        .sort(),
    ).toEqual(['a', 'b'])
    expect(box.netlink.runSync(links.list({ group: 3 })).map(({ name }) => name)).toEqual(['a'])
    expect(box.netlink.runSync(links.get(br0.index)).name).toBe('br0')
  })

  it('delete one, or a whole group', async () => {
    const { netlink } = box
    for (const name of ['a', 'b', 'c'])
      netlink.runSync(links.add({ kind: 'veth', name, group: 8, peer: { name: `${name}1` } }))
    netlink.runSync(links.set('c', { group: 0 }))
    await netlink.run(links.delGroup(8))
    expect(
      netlink
        .runSync(links.list({ kind: 'veth' }))
        .map(({ name }) => name)
        .sort(),
    ).toEqual(['c', 'c1'])
    await netlink.run(links.del('c'))
    expect(box.json('ip -j link')).toHaveLength(1)
    await expect(netlink.run(links.delGroup(8))).rejects.toMatchObject({ code: 'ENODEV' })
  })

  it('dumps a thousand, complete, at once and off the loop', async () => {
    const { netlink } = box
    const names = Array.from({ length: 500 }, (_, index) => `v${index}`)
    netlink.batchSync(
      names.map((name) => links.add({ kind: 'veth', name, group: 5, peer: { name: `${name}p`, group: 5 } })),
    )
    expect(netlink.runSync(links.list({ group: 5 }))).toHaveLength(1000)
    expect(await netlink.run(links.list({ group: 5 }))).toHaveLength(1000)
    await netlink.run(links.delGroup(5))
    expect(box.json('ip -j link')).toHaveLength(1)
  })

  it('take IPv4 settings and leave ARP alone in the request that sets them up', () => {
    const { netlink } = box
    netlink.runSync(links.add({ kind: 'veth', name: 'v0', peer: { name: 'v1' } }))
    netlink.runSync(links.set('v0', { up: true, arp: false, ipv4: { rp_filter: 1, route_localnet: 1 } }))
    expect(shown('v0').flags).toEqual(expect.arrayContaining(['UP', 'NOARP']))
    for (const [setting, value] of [
      ['rp_filter', '1'],
      ['route_localnet', '1'],
      ['proxy_arp', '0'],
    ])
      expect(readSysctl(`net/ipv4/conf/v0/${setting}`, box.path)).toBe(value)
    const link = netlink.runSync(links.get('v0'))
    expect(link).toMatchObject({ arp: false, ipv4: { rp_filter: 1, route_localnet: 1, proxy_arp: 0 } })
    netlink.runSync(links.set('v0', { arp: true, ipv4: { rp_filter: 0 } }))
    expect(netlink.runSync(links.get('v0'))).toMatchObject({ up: true, arp: true, ipv4: { rp_filter: 0 } })
  })
})
