import { expect, it } from 'vitest'
import { conntrack, NETLINK_NETFILTER, openNetlink } from '../../src/index.ts'
import { describeIsolated, useSandbox } from '../sandbox.ts'

describeIsolated('conntrack', () => {
  const box = useSandbox()

  it('UDP connections are seen, and forgotten by port or address', async () => {
    // Connections are tracked where a rule asks for them.
    box.run('nft add table inet t')
    box.run('nft add chain inet t c { type filter hook output priority 0 ; }')
    box.run('nft add rule inet t c ct state new accept')
    for (const port of [5301, 5302]) box.run(`bash -c echo>/dev/udp/127.0.0.1/${port}`)
    box.run('bash -c echo>/dev/udp/::1/5301')
    using netlink = openNetlink({ netns: box.path, protocol: NETLINK_NETFILTER })
    const ports = () =>
      netlink.runSync(conntrack.list({ protocol: 17 })).map(({ original }) => original.destinationPort)
    expect(ports().sort()).toEqual([5301, 5301, 5302])
    expect(netlink.runSync(conntrack.list({ port: 5302 }))).toMatchObject([
      {
        family: 'inet',
        original: { source: '127.0.0.1', destination: '127.0.0.1', protocol: 17, destinationPort: 5302 },
        reply: { sourcePort: 5302 },
      },
    ])
    const count = (filter: conntrack.ConnectionFilter) => netlink.runSync(conntrack.list(filter)).length
    for (const direction of ['source', 'replySource'])
      expect(['127.0.0.1', '127.0.0.2', '::1', '::2'].map((ip) => count({ [direction]: ip }))).toEqual([
        2, 0, 1, 0,
      ])
    expect(count({ source: '::1', replySource: '::1' })).toBe(1)
    expect(count({ source: '127.0.0.1', replySource: '127.0.0.2' })).toBe(0)
    // It is the kernel that leaves the others out.
    const request = conntrack.list({ replySource: '127.0.0.2' })
    const answers = netlink.runSync({ ...request, parse: (messages) => messages.length })
    expect(answers).toBe(0)
    expect(await conntrack.flush(netlink, { protocol: 17, port: 5301, address: '::1' })).toBe(1)
    expect(await conntrack.flush(netlink, { protocol: 17, port: 5301 })).toBe(1)
    expect(ports()).toEqual([5302])
    const [last] = netlink.runSync(conntrack.list({ port: 5302 }))
    netlink.runSync(conntrack.del(last!))
    expect(() => netlink.runSync(conntrack.del(last!))).toThrow(expect.objectContaining({ code: 'ENOENT' }))
    expect(ports()).toEqual([])
  })
})
