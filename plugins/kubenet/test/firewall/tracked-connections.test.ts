import { createSocket } from 'node:dgram'
import { conntrack, NETLINK_NETFILTER, openNetlink, readSysctl } from '@podwire/netlink'
import { beforeAll, expect, it } from 'vitest'
import { createTrackedConnections } from '../../src/firewall/tracked-connections.ts'
import { describeIsolated, run } from '../support/machine.ts'

describeIsolated('connections that the kernel keeps track of', () => {
  beforeAll(() => {
    // They are tracked where a rule asks for them.
    run('nft', ['add', 'table', 'inet', 't'])
    run('nft', ['add', 'chain', 'inet', 't', 'c', '{ type filter hook output priority 0; }'])
    run('nft', ['add', 'rule', 'inet', 't', 'c', 'ct', 'state', 'new', 'accept'])
  })

  async function begin(from: string, to: string, count: number) {
    const socket = createSocket(from.includes(':') ? 'udp6' : 'udp4')
    await new Promise<void>((resolve) => socket.bind(0, from, resolve))
    for (let port = 2000; port < 2000 + count; port++)
      await new Promise((resolve) => socket.send('', port, to, resolve))
    await new Promise<void>((resolve) => socket.close(resolve))
  }
  const left = () => Number(readSysctl('net/netfilter/nf_conntrack_count'))

  it.each([5, 5_000])('are forgotten that are chosen, of some addresses, among %d', async (others) => {
    using netlink = openNetlink({ protocol: NETLINK_NETFILTER })
    const tracked = createTrackedConnections(netlink)
    const forget = async (of: readonly string[], port: number) => {
      await tracked.forgetConnections(({ original }) => original.destinationPort === port, of)
      return left()
    }
    await tracked.forgetConnections(() => true)
    expect(left()).toBe(0)
    await tracked.forgetConnections(() => true, ['127.0.0.2'])
    await begin('127.0.0.1', '127.0.0.1', others)
    await begin('127.0.0.2', '127.0.0.1', 3)
    await begin('127.0.0.1', '127.0.0.3', 3)
    await begin('::1', '::1', 3)
    const all = others + 9
    expect(left()).toBe(all)
    // Where it began, where it is answered from, and both in one look; of another family too.
    expect(await forget(['127.0.0.2'], 2000)).toBe(all - 1)
    expect(await forget(['127.0.0.3'], 2001)).toBe(all - 2)
    expect(await forget(['127.0.0.2', '::1'], 2002)).toBe(all - 4)
    const [still] = netlink.runSync(conntrack.list({ replySource: '127.0.0.3', port: 2000 }))
    expect(still?.original.source).toBe('127.0.0.1')
    await tracked.forgetFlows(2000)
    expect(netlink.runSync(conntrack.list({ port: 2000 }))).toEqual([])
  })
})
