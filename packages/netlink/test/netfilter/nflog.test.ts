import { execFileSync } from 'node:child_process'
import { afterEach, beforeEach, expect, it } from 'vitest'
import {
  addresses,
  createNetns,
  type LoggedPacket,
  links,
  NETLINK_NETFILTER,
  type Netlink,
  neighbours,
  nflogQueue,
  openNetlink,
  watchNflog,
  withNetns,
} from '../../src/index.ts'
import * as nft from '../../src/nftables/index.ts'
import { be16, decodeIp, u8, u32 } from '../../src/transport.ts'
import { describeIsolated, openFiles, ownNetns, useSandbox } from '../sandbox.ts'

const chain = { family: 'inet', table: 't', chain: 'c' } as const

describeIsolated('watchNflog', () => {
  const box = useSandbox()
  let netfilter: Netlink
  beforeEach(() => {
    netfilter = openNetlink({ netns: box.path, protocol: NETLINK_NETFILTER })
  })
  afterEach(() => netfilter.close())

  const logging = (hook: nft.Hook, expressions: nft.Expressions) =>
    netfilter.batchSync(
      nft.transaction([
        nft.tables.add(chain),
        nft.chains.add(chain, { base: { type: 'filter', hook, priority: 0 } }),
        nft.rules.add(chain, [nft.meta('l4proto'), nft.equals(u8(17)), expressions].flat()),
      ]),
    )

  // Not by node:dgram, which makes its socket in a later turn, and so in the namespace of the process.
  const sendTo = (netns: string, address: string, port: number, count = 1) =>
    withNetns(netns, () =>
      execFileSync('bash', [
        '-c',
        `for ((n = 0; n < ${count}; n++)); do echo hello >/dev/udp/${address}/${port}; done`,
      ]),
    )

  async function take(packets: AsyncIterable<LoggedPacket>, count: number) {
    const taken: LoggedPacket[] = []
    for await (const packet of packets) if (taken.push(packet) === count) break
    return taken
  }

  it('tells what a rule logged: prefix, links, addresses, mark and the packet as far as asked for', async () => {
    const before = openFiles()
    createNetns(ownNetns('pod'))
    box.netlink.batchSync([
      links.add({
        kind: 'veth',
        name: 'up0',
        index: 40,
        up: true,
        address: '0a:58:00:00:00:01',
        peer: { name: 'eth0', netns: ownNetns('pod'), address: '0a:58:00:00:00:02' },
      }),
      addresses.add({ dev: 40, address: '10.1.0.1/24' }),
    ])
    using pod = openNetlink({ netns: ownNetns('pod') })
    pod.batchSync([
      links.set('eth0', { up: true }),
      addresses.add({ dev: 'eth0', address: '10.1.0.2/24' }),
      neighbours.add({ dev: 'eth0', address: '10.1.0.1', lladdr: '0a:58:00:00:00:01' }),
    ])
    logging('input', [
      nft.load(u32(0x2a)),
      { meta: { key: 'mark', source: 0 } },
      nft.log({ group: 7, prefix: 'denied by podwire' }),
      nft.drop,
    ])
    const packets = watchNflog(netfilter, 7, { length: 30 })
    sendTo(ownNetns('pod'), '10.1.0.1', 5353)
    const [packet] = await take(packets, 1)
    expect(packet).toMatchObject({
      group: 7,
      prefix: 'denied by podwire',
      protocol: 0x0800,
      indev: 40,
      hwaddr: '0a:58:00:00:00:02',
      mark: 0x2a,
      sequence: 0,
    })
    expect(packet).not.toHaveProperty('outdev')
    expect(packet!.packet).toHaveLength(30)
    expect(decodeIp(packet!.packet.subarray(12, 16))).toBe('10.1.0.2')
    expect(packet!.packet.subarray(22, 24)).toEqual(be16(5353))
    if (packet!.timestamp !== undefined)
      expect(Math.abs(Date.now() - packet!.timestamp)).toBeLessThan(600_000)
    pod.close()
    expect(openFiles()).toBe(before)
  })

  it('tells a hundred in order, none missing', async () => {
    logging('output', [nft.log({ group: 3 })])
    const packets = watchNflog(netfilter, 3)
    sendTo(box.path, '127.0.0.1', 9, 100)
    const taken = await take(packets, 100)
    expect(taken.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 100 }, (_, index) => index))
    expect(taken[0]).toMatchObject({ prefix: '', outdev: 1 })
  })

  it('says of how many packets more is to come', async () => {
    logging('output', [nft.log({ group: 4 })])
    const queue = () => withNetns(box.path, () => nflogQueue(4))
    expect(queue()).toBe(0)
    const packets = watchNflog(netfilter, 4)
    const seen = withNetns(box.path, () => {
      const queues: (number | undefined)[] = []
      // The kernel may pass one on between the two looks.
      for (let times = 0; times < 20 && !queues.includes(1); times++) {
        execFileSync('bash', ['-c', 'echo hello >/dev/udp/127.0.0.1/9'])
        queues.push(nflogQueue(4))
      }
      return queues
    })
    expect(seen).toContain(1)
    await expect.poll(queue).toBe(0)
    expect(await take(packets, seen.length)).toHaveLength(seen.length)
  })

  it('is one listener’s at a time, ends with the signal, and lets go of the group', async () => {
    const before = openFiles()
    const controller = new AbortController()
    const first = watchNflog(netfilter, 5, { signal: controller.signal })
    expect(() => watchNflog(netfilter, 5)).toThrow(
      expect.objectContaining({
        code: 'EPERM',
        message: expect.stringContaining('nflog group 5: another socket listens to it'),
      }),
    )
    const taken = take(first, 1)
    controller.abort()
    expect(await taken).toEqual([])
    const second = watchNflog(netfilter, 5)
    await second.return?.()
    expect(openFiles()).toBe(before)
  })

  it.each([-1, 65_536, 1.5])('refuses group %d, and a socket of another protocol', (group) => {
    const before = openFiles()
    expect(() => watchNflog(netfilter, group)).toThrow(
      expect.objectContaining({ code: 'ERR_NETLINK_ARGUMENT' }),
    )
    expect(() => watchNflog(box.netlink, 1)).toThrow(
      expect.objectContaining({ code: 'ERR_NETLINK_PROTOCOL' }),
    )
    expect(openFiles()).toBe(before)
  })
})
