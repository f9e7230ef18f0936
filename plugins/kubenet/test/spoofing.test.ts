import { readFileSync } from 'node:fs'
import { links, neighbours, openNetlink, writeSysctl } from '@podwire/netlink'
import { expect, it } from 'vitest'
import {
  arp,
  bridgeHello,
  ethernet,
  neighbourAdvertisement,
  neighbourSolicitation,
  receiveFrames,
  sendFrame,
  tagged,
  udp,
} from './support/frames.ts'
import { describeIsolated, run, useMachine } from './support/machine.ts'

const everyone = 'ff:ff:ff:ff:ff:ff'
const own = '0a:58:0a:58:00:02'
const victims = '0a:58:0a:58:00:03'
const hosts = '0a:58:a9:fe:01:01'

// Each has a control: the same frame without what keeps it out, or from who may send it, arrives.
describeIsolated('a pod with a link of its own', () => {
  const machine = useMachine()

  /** `evil` is 10.88.0.2 and fd88::2, `victim` 10.88.0.3 and fd88::3; both may send whatever they make. */
  async function start() {
    await machine.start()
    for (const id of ['evil', 'victim']) await machine.pod(id)
    const [onHost, inVictim] = await Promise.all([machine.peer(), machine.peer('victim')])
    return { evil: machine.netnsOf('evil'), onHost, inVictim }
  }

  const neighboursIn = (netns?: string) => {
    using netlink = openNetlink(netns === undefined ? {} : { netns })
    return netlink
      .runSync(neighbours.list())
      .map(({ dev, address, lladdr, state }) => `${dev} ${address} ${lladdr} ${state}`)
      .sort()
  }

  const openGuard = () => run('nft', ['flush', 'chain', 'inet', machine.table, 'from-pods'])

  it.each([
    ['another pod', '10.88.0.3', '10.88.0.1'],
    ['the outside', '203.0.113.9', '10.88.0.1'],
    ['the host', '10.88.0.1', '10.88.0.3'],
    ['nobody', '0.0.0.0', '255.255.255.255'],
    ['another pod', 'fd88::3', 'fd88::1'],
    ['the outside', '2001:db8::9', 'fd88::1'],
    ['its link alone', 'fe80::9', 'fd88::1'],
  ])('sends nothing as %s (%s)', async (_, source, destination) => {
    const { evil, onHost, inVictim } = await start()
    const receiver = destination === '10.88.0.3' ? inVictim : onHost
    await receiver.listen(7000, destination.includes(':') ? '::' : '0.0.0.0')
    const to = destination === '255.255.255.255' ? everyone : hosts
    const send = (as: string, text: string) =>
      sendFrame(evil, udp({ from: own, to }, [as, 7000], [destination, 7000], text))
    const rightful = source.includes(':') ? 'fd88::2' : '10.88.0.2'
    send(source, 'spoofed')
    send(rightful, 'rightful')
    await expect.poll(() => receiver.heard()).toEqual([`rightful ${rightful}`])
    // Nothing else stands in the way but strict reverse paths, of IPv4.
    openGuard()
    writeSysctl(`net/ipv4/conf/${machine.linkOf('evil')}/rp_filter`, 0)
    // What is the host's own the kernel takes from nobody else, unless it is told to.
    if (source === '10.88.0.1')
      for (const link of ['all', machine.linkOf('evil')]) writeSysctl(`net/ipv4/conf/${link}/accept_local`, 1)
    send(source, 'spoofed')
    await expect.poll(() => receiver.heard()).toContain(`spoofed ${source}`)
  })

  it.each([
    ['10.88.0.3', '10.88.0.2', '10.88.0.1'],
    ['fd88::3', 'fd88::2', 'fd88::1'],
  ])('sends nothing as another pod behind the tag of no VLAN (%s)', async (victim, rightful, host) => {
    const { evil, onHost } = await start()
    await onHost.listen(7000, host.includes(':') ? '::' : '0.0.0.0')
    const send = (as: string, text: string) => {
      const frame = udp({ from: own, to: hosts }, [as, 7000], [host, 7000], text)
      for (const bytes of [tagged(frame), tagged(tagged(frame))]) sendFrame(evil, bytes)
    }
    send(victim, 'spoofed')
    send(rightful, 'rightful')
    await expect.poll(() => onHost.heard()).toContain(`rightful ${rightful}`)
    expect(await onHost.heard()).not.toContain(`spoofed ${victim}`)
    openGuard()
    writeSysctl(`net/ipv4/conf/${machine.linkOf('evil')}/rp_filter`, 0)
    send(victim, 'spoofed')
    await expect.poll(() => onHost.heard()).toContain(`spoofed ${victim}`)
  })

  it.each([
    ['a pod', '10.88.0.3', '192.0.2.1'],
    ['a pod that is yet to come', '10.88.0.77', '192.0.2.1'],
    ['a pod', 'fd88::3', '2001:db8::1'],
    ['a pod that is yet to come', 'fd88::77', '2001:db8::1'],
  ])('hears nobody outside who speaks as %s (%s)', async (_, source, host) => {
    const outside = await machine.outside()
    const { onHost } = await start()
    await onHost.listen(7000, host.includes(':') ? '::' : '0.0.0.0')
    for (const link of ['up0', 'all']) writeSysctl(`net/ipv4/conf/${link}/rp_filter`, 0)
    const bits = source.includes(':') ? ['128', 'nodad'] : ['32']
    const [prefix = '', ...more] = bits
    run('nsenter', [
      `--net=${machine.netnsOf('outside')}`,
      ...['ip', 'address', 'add', `${source}/${prefix}`, 'dev', 'eth0', ...more],
    ])
    await outside.say(host, 7000, 'spoofed', source)
    await outside.say(host, 7000, 'rightful')
    await expect.poll(() => onHost.heard()).toEqual([expect.stringMatching(/^rightful/)])
    run('nft', ['flush', 'chain', 'inet', machine.table, 'raw'])
    await outside.say(host, 7000, 'spoofed', source)
    await expect.poll(() => onHost.heard()).toContain(`spoofed ${source}`)
  })

  it('takes no address of another pod or the host by ARP, and is told of none', async () => {
    const { evil, onHost, inVictim } = await start()
    await inVictim.serve('tcp', 80, 'victim')
    const link = machine.linkOf('evil')
    const before = [neighboursIn(), neighboursIn(machine.netnsOf('victim'))]
    const claim = () => {
      // To who would ask, and to all that may know the address already.
      for (const operation of ['request', 'reply'] as const)
        for (const address of ['10.88.0.3', '10.88.0.1', '10.88.0.77'])
          for (const target of ['10.88.0.1', address])
            sendFrame(evil, arp({ from: own, to: everyone }, operation, address, target))
    }
    const answers = () => run('nsenter', [`--net=${evil}`, 'ip', 'neigh', 'show', '10.88.0.1'])
    // A request that waits for its answer from before would not ask again for a second.
    const ask = async () => {
      run('nsenter', [`--net=${evil}`, 'ip', 'neigh', 'flush', 'dev', 'eth0', '10.88.0.1'])
      run('nsenter', [`--net=${evil}`, 'ip', 'route', 'replace', '10.88.0.1', 'dev', 'eth0'])
      return (await machine.peer('evil')).ask('udp', '10.88.0.1', 9, { timeout: 300 })
    }
    claim()
    await ask()
    expect(answers()).not.toContain('lladdr')
    expect([neighboursIn(), neighboursIn(machine.netnsOf('victim'))]).toEqual(before)
    expect(await onHost.ask('tcp', '10.88.0.3', 80)).toBe('victim 10.88.0.1')
    // A link that speaks ARP answers, and learns.
    run('ip', ['link', 'set', link, 'arp', 'on'])
    run('ip', ['route', 'replace', '10.88.0.77', 'dev', link])
    writeSysctl(`net/ipv4/conf/${link}/arp_accept`, 1)
    await ask()
    await expect.poll(answers).toContain('lladdr')
    claim()
    await expect.poll(() => neighboursIn().join()).toContain(`10.88.0.77 ${own}`)
  })

  it('takes no address of another pod or the host by neighbour discovery, and is told of none', async () => {
    const { evil, onHost, inVictim } = await start()
    await inVictim.serve('tcp', 80, 'victim')
    const before = [neighboursIn(), neighboursIn(machine.netnsOf('victim'))]
    const link = machine.linkOf('evil')
    // Something for the host to believe.
    const plant = () =>
      run('ip', ['neigh', 'replace', 'fd88::77', 'lladdr', victims, 'dev', link, 'nud', 'stale'])
    const claim = () => {
      for (const address of ['fd88::3', 'fd88::1', 'fd88::77']) {
        sendFrame(evil, neighbourAdvertisement({ from: own, to: hosts }, address, 'fd88::1'))
        sendFrame(evil, neighbourSolicitation({ from: own, to: hosts }, address, 'fd88::1'))
      }
    }
    claim()
    expect(await onHost.ask('tcp', 'fd88::3', 80)).toBe('victim fd88::1')
    expect([neighboursIn(), neighboursIn(machine.netnsOf('victim'))]).toEqual(before)
    plant()
    claim()
    expect(await onHost.ask('tcp', 'fd88::3', 80)).toBe('victim fd88::1')
    expect(neighboursIn().join()).toContain(`fd88::77 ${victims}`)
    openGuard()
    await expect
      .poll(() => {
        claim()
        return neighboursIn().join()
      })
      .toContain(`fd88::77 ${own}`)
  })

  it("takes nothing of another pod's by sending from its MAC address", async () => {
    const { evil, onHost, inVictim } = await start()
    await inVictim.serve('tcp', 80, 'victim')
    for (let round = 0; round < 3; round++)
      sendFrame(evil, udp({ from: victims, to: hosts }, ['10.88.0.2', 1], ['10.88.0.1', 7000], 'me'))
    expect(await onHost.ask('tcp', '10.88.0.3', 80)).toBe('victim 10.88.0.1')
    // On a bridge that is enough to have what is the other pod's sent to oneself.
    await machine.start({ options: { datapath: 'bridge' }, podCIDR: '10.90.0.0/16' })
    for (const id of ['thief', 'owner']) await machine.pod(id)
    const inOwner = await machine.peer('owner')
    await inOwner.serve('tcp', 80, 'owner')
    expect(await onHost.ask('tcp', '10.90.0.3', 80)).toBe('owner 10.90.0.1')
    const frame = ethernet({ from: '0a:58:0a:5a:00:03', to: everyone }, 0x88b5, Buffer.alloc(46))
    sendFrame(machine.netnsOf('thief'), frame)
    expect(run('bridge', ['fdb', 'show', 'dev', machine.linkOf('thief')])).toContain('0a:58:0a:5a:00:03')
  })

  it('says nothing to other pods by what is for all: broadcasts and multicasts', async () => {
    const { evil, onHost, inVictim } = await start()
    const kinds: readonly (readonly [string, string])[] = [
      ['255.255.255.255', everyone],
      ['10.88.255.255', everyone],
      ['224.0.0.251', '01:00:5e:00:00:fb'],
      ['224.0.0.1', '01:00:5e:00:00:01'],
      ['ff02::1', '33:33:00:00:00:01'],
    ]
    const sayToAll = (netns: string, mac: string, [ip, ip6]: readonly [string, string], network: string) => {
      for (const [address, to] of kinds) {
        const from = address.includes(':') ? ip6 : ip
        const target = address.replace('10.88', network)
        const port = address.includes(':') ? 7001 : 7000
        sendFrame(netns, udp({ from: mac, to }, [from, 1], [target, port], address))
      }
    }
    await inVictim.listen(7000, '0.0.0.0')
    await inVictim.listen(7001, '::')
    sayToAll(evil, own, ['10.88.0.2', 'fd88::2'], '10.88')
    await onHost.say('10.88.0.3', 7000, 'the host')
    await expect.poll(() => inVictim.heard()).toEqual([expect.stringMatching(/^the host/)])
    // On a bridge all hear it that listen; of multicasts, those that all hear.
    await machine.start({ options: { datapath: 'bridge' }, podCIDR: '10.90.0.0/16,fd90::/64' })
    for (const id of ['loud', 'quiet']) await machine.pod(id)
    const inQuiet = await machine.peer('quiet')
    await inQuiet.listen(7000, '0.0.0.0')
    await inQuiet.listen(7001, '::')
    run('nsenter', [
      `--net=${machine.netnsOf('quiet')}`,
      'ip',
      'addr',
      'add',
      '224.0.0.251/32',
      'dev',
      'eth0',
      'autojoin',
    ])
    const said = async () => {
      sayToAll(machine.netnsOf('loud'), '0a:58:0a:5a:00:02', ['10.90.0.2', 'fd90::2'], '10.90')
      return [...new Set((await inQuiet.heard()).map((text) => text.split(' ')[0]))].sort()
    }
    await expect.poll(said).toEqual(kinds.map(([address]) => address).sort())
  })

  it('makes no other pod, and not the host, take an address by a DHCP answer', async () => {
    const { evil, onHost } = await start()
    await onHost.listen(68, '0.0.0.0')
    await onHost.listen(546, '::')
    const offer = (from: number) =>
      sendFrame(evil, udp({ from: own, to: everyone }, ['10.88.0.2', from], ['255.255.255.255', 68], 'offer'))
    const offer6 = (from: number) =>
      sendFrame(evil, udp({ from: own, to: hosts }, ['fd88::2', from], ['fd88::1', 546], 'offer6'))
    offer(67)
    offer6(547)
    offer(1067)
    offer6(1547)
    await expect
      .poll(() => onHost.heard().then((heard) => heard.sort()))
      .toEqual(['offer 10.88.0.2', 'offer6 fd88::2'])
    openGuard()
    offer(67)
    offer6(547)
    await expect.poll(() => onHost.heard()).toHaveLength(4)
  })

  it('becomes no bridge that others of the host follow', async () => {
    await machine.start({ options: { datapath: 'bridge' } })
    await machine.pod('evil')
    const root = () => readFileSync('/sys/class/net/cbr0/bridge/root_id', 'utf8').trim()
    const own = root()
    // IEEE 802.1D: of the lowest priority, which is the root of all.
    const claim = () => sendFrame(machine.netnsOf('evil'), bridgeHello('0a:58:0a:58:00:02'))
    const frames = receiveFrames(0x0004)
    claim()
    await expect.poll(() => frames.count()).toBeGreaterThan(0)
    frames.close()
    expect(root()).toBe(own)
    run('ip', ['link', 'set', 'cbr0', 'type', 'bridge', 'stp_state', '1'])
    await expect
      .poll(() => {
        claim()
        return root()
      })
      .toBe('0000.0a580a580002')
  })

  it('sends the host what no link of its own speaks, and nothing becomes of it', async () => {
    const { evil, onHost } = await start()
    const frames = receiveFrames(0x88b5)
    sendFrame(evil, ethernet({ from: own, to: everyone }, 0x88b5, Buffer.alloc(46)))
    using netlink = openNetlink()
    // That it came can be seen; what the kernel does with it is drop it.
    await expect.poll(() => frames.count()).toBe(1)
    frames.close()
    const dropped = () => netlink.runSync(links.get(machine.linkOf('evil'))).statistics?.rxDropped ?? 0
    const before = dropped()
    sendFrame(evil, ethernet({ from: own, to: everyone }, 0x88b5, Buffer.alloc(46)))
    await expect.poll(dropped).toBe(before + 1)
    expect(netlink.runSync(links.get(machine.linkOf('evil'))).up).toBe(true)
    expect(await onHost.ask('tcp', '10.88.0.3', 80)).toBe('ECONNREFUSED')
  })
})
