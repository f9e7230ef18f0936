import { expect, it } from 'vitest'
import { classes, filters, links, qdiscs } from '../../src/index.ts'
import { describeIsolated, useSandbox } from '../sandbox.ts'

describeIsolated('traffic control', () => {
  const box = useSandbox()
  const withLinks = () =>
    box.netlink.batchSync([
      links.add({ kind: 'veth', name: 'a', index: 40, peer: { name: 'b', index: 41 } }),
      links.add({ kind: 'ifb', name: 'ifb9', index: 42, up: true }),
    ])

  it.each([1_250_000, 12_500_000_000])(
    'tbf of %d bytes a second is what tc shows; replace changes it; it goes away',
    (rate) => {
      withLinks()
      box.netlink.runSync(
        qdiscs.add({ dev: 'a', kind: 'tbf', handle: '5:', rate, burst: 131072, limit: 262144 }),
      )
      const [shown] = box.json('tc -j qdisc show dev a')
      expect(shown).toMatchObject({ kind: 'tbf', handle: '5:', root: true, options: { rate } })
      expect(shown.options.burst).toBeGreaterThan(131072 * 0.9)
      expect(shown.options.burst).toBeLessThanOrEqual(131072 * 1.01)
      expect(box.netlink.runSync(qdiscs.list({ dev: 'a' }))).toMatchObject([
        { dev: 40, kind: 'tbf', handle: '5:', parent: 'root', rate, limit: 262144 },
      ])
      box.netlink.runSync(
        qdiscs.replace({ dev: 'a', kind: 'tbf', rate: rate / 2, burst: 131072, limit: 262144 }),
      )
      expect(box.json('tc -j qdisc show dev a')[0].options.rate).toBe(rate / 2)
      box.netlink.runSync(qdiscs.del({ dev: 'a' }))
      expect(box.run('tc qdisc show dev a')).not.toContain('tbf')
    },
  )

  it('a qdisc that was deleted is not there, whether its link is up or down', () => {
    withLinks()
    for (const up of [true, false]) {
      box.netlink.runSync(links.set('a', { up }))
      box.netlink.runSync(qdiscs.add({ dev: 'a', kind: 'tbf', rate: 1e6, burst: 131072, limit: 262144 }))
      expect(box.netlink.runSync(qdiscs.get({ dev: 'a' }))).toMatchObject({ kind: 'tbf' })
      box.netlink.runSync(qdiscs.del({ dev: 'a' }))
      if (up) expect(box.netlink.runSync(qdiscs.get({ dev: 'a' })).kind).toBe('noqueue')
      else
        expect(() => box.netlink.runSync(qdiscs.get({ dev: 'a' }))).toThrow(
          expect.objectContaining({ code: 'ENOENT' }),
        )
    }
  })

  it('what comes in is sent to an ifb', () => {
    withLinks()
    box.netlink.batchSync([
      qdiscs.add({ dev: 40, kind: 'ingress' }),
      filters.add({ dev: 40, parent: 'ffff:', priority: 1, kind: 'u32', redirect: 42 }),
    ])
    expect(box.run('tc filter show dev a ingress')).toMatch(
      /match 00000000\/00000000[\s\S]*mirred \(Egress Redirect to device ifb9\) stolen/,
    )
    expect(box.netlink.runSync(filters.list({ dev: 'a', parent: 'ffff:' }))).toMatchObject([
      { kind: 'u32', priority: 1, protocol: 3, redirect: 42 },
    ])
    box.netlink.runSync(filters.del({ dev: 'a', parent: 'ffff:' }))
    expect(box.run('tc filter show dev a ingress')).toBe('')
    box.netlink.runSync(qdiscs.del({ dev: 'a', parent: 'ingress' }))
    expect(box.run('tc qdisc show dev a')).not.toContain('ingress')
  })

  it('htb classes and the filters that lead to them are what tc shows, and go away', () => {
    withLinks()
    box.netlink.batchSync([
      qdiscs.add({ dev: 40, kind: 'htb', handle: '1:', defaultClass: '30' }),
      classes.add({ dev: 40, classId: '1:10', parent: '1:', rate: 125_000, ceil: 250_000, priority: 2 }),
      filters.add({
        dev: 40,
        parent: '1:',
        priority: 3,
        kind: 'u32',
        match: { from: '10.1.2.0/24', to: '10.9.0.0/16' },
        classId: '1:10',
      }),
    ])
    expect(box.run('tc qdisc show dev a')).toContain('default 0x30')
    expect(box.run('tc class show dev a')).toContain(
      'class htb 1:10 root prio 2 rate 1Mbit ceil 2Mbit burst 64Kb',
    )
    expect(box.netlink.runSync(classes.list({ dev: 'a' }))).toMatchObject([
      { handle: '1:10', rate: 125_000, ceil: 250_000 },
    ])
    const filter = box.run('tc filter show dev a parent 1:')
    expect(filter).toContain('flowid 1:10')
    expect(filter).toContain('match 0a010200/ffffff00 at 12')
    expect(filter).toContain('match 0a090000/ffff0000 at 16')
    box.netlink.runSync(filters.del({ dev: 'a', parent: '1:', priority: 3 }))
    box.netlink.runSync(classes.del({ dev: 'a', classId: '1:10' }))
    expect(box.run('tc class show dev a')).toBe('')
  })

  it('what tc made is read', () => {
    withLinks()
    box.run('tc qdisc add dev a root handle 7: tbf rate 8mbit burst 16kb limit 30000')
    box.run('tc qdisc add dev b clsact')
    expect(box.netlink.runSync(qdiscs.list({ dev: 'a' }))).toMatchObject([
      { kind: 'tbf', handle: '7:', rate: 1_000_000, limit: 30_000, statistics: { bytes: 0 } },
    ])
    expect(box.netlink.runSync(qdiscs.list({ dev: 'b' }))).toContainEqual(
      expect.objectContaining({ kind: 'clsact', handle: 'ffff:' }),
    )
  })

  it.each(['x', '1', '1:g', '12345:', ''])('a handle is not %j', (handle) => {
    withLinks()
    expect(() => box.netlink.runSync(qdiscs.add({ dev: 'a', kind: 'htb', handle }))).toThrow(
      expect.objectContaining({ code: 'ERR_NETLINK_ARGUMENT' }),
    )
  })
})
