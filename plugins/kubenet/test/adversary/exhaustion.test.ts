import type { Policy } from '@podwire/api'
import { conntrack, NETLINK_NETFILTER, neighbours, openNetlink } from '@podwire/netlink'
import { expect, it } from 'vitest'
import { arp, ethernet, sendFrames } from '../support/frames.ts'
import { describeIsolated, run, useMachine } from '../support/machine.ts'

const EVIL = '10.88.0.2'

/** What a pod could use up that the host and all pods have together. */
describeIsolated('an adversary that uses up what all share', () => {
  const machine = useMachine()

  async function start(connections: number, policy?: Policy) {
    await machine.outside()
    await machine.start({ options: { connections } })
    await machine.pod('evil', policy ? { policy } : {})
    await machine.pod('other')
    return { evil: await machine.peer('evil'), other: await machine.peer('other') }
  }

  const tracked = (address: string) => {
    using netlink = openNetlink({ protocol: NETLINK_NETFILTER })
    return netlink.runSync(conntrack.list({ address, protocol: 17 })).length
  }

  it.each([
    ['the outside', '192.0.2.2'],
    ['the host', '10.88.0.1'],
    ['another pod', '10.88.0.3'],
    ['the outside by IPv6', '2001:db8::2'],
  ])('has no more connections open than it may, to %s', async (_, target) => {
    const { evil, other } = await start(100)
    const own = target.includes(':') ? 'fd88::2' : EVIL
    await evil.scatter(target, 1000)
    expect(tracked(own)).toBeGreaterThan(50)
    expect(tracked(own)).toBeLessThanOrEqual(100)
    // It is the limit of one pod, and of what it begins itself.
    const outside = await machine.peer('outside')
    await outside.serve('tcp', 80, 'outside')
    await evil.serve('tcp', 80, 'evil')
    expect(await other.ask('tcp', '192.0.2.2', 80)).toMatch(/^outside/)
    expect(await other.ask('tcp', EVIL, 80)).toMatch(/^evil/)
    expect(await evil.ask('tcp', '192.0.2.2', 80, { timeout: 500 })).toBe('timeout')
    // What is forgotten makes room.
    using netlink = openNetlink({ protocol: NETLINK_NETFILTER })
    await conntrack.flush(netlink, { address: own })
    await expect.poll(() => evil.ask('tcp', '192.0.2.2', 80, { timeout: 3_000 })).toMatch(/^outside/)
  })

  it('has three quarters of them at least, however many that are: they are counted in parts', async () => {
    const { evil } = await start(8_192)
    await evil.scatter('192.0.2.2', 6_000)
    expect(tracked(EVIL)).toBeGreaterThan(5_900)
    await evil.scatter('192.0.2.2', 16_000)
    expect(tracked(EVIL)).toBeGreaterThan(6_144)
    expect(tracked(EVIL)).toBeLessThanOrEqual(8_192)
  })

  it('fills the table of connections where nothing limits it', async () => {
    const { evil } = await start(0)
    await evil.scatter('192.0.2.2', 1000)
    expect(tracked(EVIL)).toBeGreaterThanOrEqual(1000)
  })

  it('has the host look for no neighbours that its policy does not allow it', async () => {
    const policy: Policy = { egress: { default: 'deny', allow: [{ cidr: '192.0.2.2/32' }] } }
    const { evil } = await start(8_192, policy)
    const asked = () => {
      using netlink = openNetlink()
      return netlink.runSync(neighbours.list()).filter(({ address }) => address.startsWith('10.99.0.')).length
    }
    await evil.sweep('10.99.0.', 9, 3, 203)
    expect(asked()).toBe(0)
    await machine.again('evil')
    await evil.sweep('10.99.0.', 9, 3, 203)
    await expect.poll(asked).toBeGreaterThan(100)
  })

  it('teaches its host no MAC addresses, however many it sends from', async () => {
    await start(8_192)
    const learned = () => run('bridge', ['fdb', 'show']).match(/02:00:00:00:/g)?.length ?? 0
    const known = () => {
      using netlink = openNetlink()
      return netlink.runSync(neighbours.list()).filter(({ lladdr }) => lladdr?.startsWith('02:00:00:00:'))
        .length
    }
    const sendFromMany = (id: string, address: string) => {
      const frames = Array.from({ length: 2_000 }, (_, at) => {
        const [high, low] = [at >> 8, at & 255].map((byte) => byte.toString(16).padStart(2, '0'))
        const frame = { from: `02:00:00:00:${high}:${low}`, to: 'ff:ff:ff:ff:ff:ff' }
        return [ethernet(frame, 0x88b5, Buffer.alloc(46)), arp(frame, 'request', address, address)]
      })
      sendFrames(machine.netnsOf(id), frames.flat())
    }
    sendFromMany('evil', EVIL)
    expect([learned(), known()]).toEqual([0, 0])
    await machine.start({ options: { datapath: 'bridge' }, podCIDR: '10.90.0.0/16' })
    await machine.pod('loud')
    sendFromMany('loud', '10.90.0.2')
    await expect.poll(learned).toBeGreaterThan(1_900)
  })

  it('makes its host tell, and remember, no more than a little of half a million packets that are denied', async () => {
    const { evil } = await start(8_192, { egress: { default: 'deny' } })
    const before = process.memoryUsage().rss
    const began = performance.now()
    for (let round = 0; round < 10; round++) await evil.scatter('192.0.2.2', 50_000)
    await evil.ask('tcp', '192.0.2.2', 80, { timeout: 500 })
    const seconds = (performance.now() - began) / 1000
    const told = () => machine.host.reports.filter(({ event }) => event === 'flow:denied')
    await expect.poll(() => told().length).toBeGreaterThan(0)
    const packets = told().reduce((sum, { details }) => sum + Number(details['count']), 0)
    // 20 in a second, and as many saved up.
    expect(packets).toBeLessThanOrEqual(20 * (seconds + 4))
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 2 ** 20)
    expect(tracked(EVIL)).toBe(0)
    const listed = run('nft', ['list', 'set', 'inet', machine.table, 'connections'])
    expect(listed).not.toContain(machine.linkOf('evil'))
  }, 120_000)
})
