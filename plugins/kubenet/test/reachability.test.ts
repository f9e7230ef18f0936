import { writeSysctl } from '@podwire/netlink'
import { expect, it } from 'vitest'
import { describeDatapaths, run, useMachine } from './support/machine.ts'

describeDatapaths('a pod on the network (%s)', (datapath) => {
  const machine = useMachine(datapath)
  const protocols = ['tcp', 'udp'] as const

  it('reaches other pods and the host, in both families, under its own address', async () => {
    await machine.start()
    const a = await machine.pod('a')
    const b = await machine.pod('b')
    expect([a.ips, b.ips]).toEqual([
      ['10.88.0.2', 'fd88::2'],
      ['10.88.0.3', 'fd88::3'],
    ])
    const [inA, inB, onHost] = await Promise.all([machine.peer('a'), machine.peer('b'), machine.peer()])
    for (const protocol of protocols) {
      await inB.serve(protocol, 80, 'b')
      await onHost.serve(protocol, 81, 'host')
      expect(await inA.ask(protocol, '10.88.0.3', 80)).toBe('b 10.88.0.2')
      expect(await inA.ask(protocol, 'fd88::3', 80)).toBe('b fd88::2')
      expect(await inA.ask(protocol, '10.88.0.1', 81)).toBe('host 10.88.0.2')
      expect(await inA.ask(protocol, 'fd88::1', 81)).toBe('host fd88::2')
      expect(await onHost.ask(protocol, '10.88.0.3', 80)).toBe('b 10.88.0.1')
    }
    expect(await inB.ask('tcp', '127.0.0.1', 80)).toBe('b 127.0.0.1')
  })

  it('reaches the outside under an address of the host, and nonMasqueradeCIDR under its own', async () => {
    const outside = await machine.outside()
    await machine.start()
    await machine.pod('a')
    const inA = await machine.peer('a')
    for (const protocol of protocols) {
      await outside.serve(protocol, 80, 'outside')
      expect(await inA.ask(protocol, '192.0.2.2', 80)).toBe('outside 192.0.2.1')
      expect(await inA.ask(protocol, '10.99.0.2', 80)).toBe('outside 10.88.0.2')
      expect(await inA.ask(protocol, '2001:db8::2', 80)).toBe('outside 2001:db8::1')
    }
  })

  it.each(['0.0.0.0/0', '::/0'])(
    'is masqueraded nowhere with nonMasqueradeCIDR %s',
    async (nonMasqueradeCIDR) => {
      const outside = await machine.outside()
      await machine.start({ nonMasqueradeCIDR })
      await machine.pod('a')
      const inA = await machine.peer('a')
      await outside.serve('tcp', 80, 'outside')
      expect(await inA.ask('tcp', '10.99.0.2', 80)).toBe('outside 10.88.0.2')
      expect(await inA.ask('tcp', '192.0.2.2', 80)).toBe('outside 10.88.0.2')
    },
  )

  it('may not reach what listens on the loopback of the host', async () => {
    await machine.start()
    const port = { hostPort: 8080, containerPort: 80, protocol: 'tcp' as const, hostIP: '127.0.0.1' }
    await machine.pod('a')
    await machine.pod('b', { portMappings: [port] })
    const [inA, inB, onHost] = await Promise.all([machine.peer('a'), machine.peer('b'), machine.peer()])
    await onHost.serve('tcp', 90, 'secret', '127.0.0.1')
    await inB.serve('tcp', 80, 'published')
    run('nsenter', [
      `--net=${machine.netnsOf('a')}`,
      'sh',
      '-c',
      `echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet; ip addr del 127.0.0.1/8 dev lo; ip route add 127.0.0.0/8 via ${machine.gateway} dev eth0 onlink`,
    ])
    expect(await inA.ask('tcp', '127.0.0.1', 90, { timeout: 300 })).toBe('timeout')
    expect(await inA.ask('tcp', '127.0.0.1', 8080, { timeout: 300 })).toBe('timeout')
    expect(await onHost.ask('tcp', '127.0.0.1', 8080)).toMatch(/^published /)
    // Nothing else stands in the way.
    run('nft', ['flush', 'chain', 'inet', machine.table, 'raw'])
    expect(await inA.ask('tcp', '127.0.0.1', 90)).toMatch(/^secret /)
    expect(await inA.ask('tcp', '127.0.0.1', 8080)).toMatch(/^published /)
  })

  it('published on 127.0.0.1 is not reached by neighbours of the host that route to it on purpose', async () => {
    const outside = await machine.outside()
    await machine.start()
    const port = { hostPort: 8080, containerPort: 80, protocol: 'tcp' as const, hostIP: '127.0.0.1' }
    await machine.pod('a', { portMappings: [port] })
    const [inA, onHost] = await Promise.all([machine.peer('a'), machine.peer()])
    await inA.serve('tcp', 80, 'a')
    const neighbour = `--net=${machine.netnsOf('outside')}`
    const steps = [
      'echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet',
      'ip addr del 127.0.0.1/8 dev lo',
      'ip route add 127.0.0.0/8 via 192.0.2.1 dev eth0 src 192.0.2.2',
    ]
    run('nsenter', [neighbour, 'sh', '-c', steps.join(' && ')])
    // A host may let such packets in for reasons of its own.
    writeSysctl('net/ipv4/conf/up0/route_localnet', 1)
    expect(await outside.ask('tcp', '127.0.0.1', 8080, { timeout: 300 })).toBe('timeout')
    expect(await onHost.ask('tcp', '127.0.0.1', 8080)).toMatch(/^a /)
    // Nothing else stands in the way.
    run('nft', ['flush', 'chain', 'inet', machine.table, 'raw'])
    expect(await outside.ask('tcp', '127.0.0.1', 8080)).toMatch(/^a /)
  })

  it.each([0, 1])('publishes ports with bridge-nf-call-iptables = %i', async (bridgeNetfilter) => {
    writeSysctl('net/bridge/bridge-nf-call-iptables', bridgeNetfilter)
    writeSysctl('net/bridge/bridge-nf-call-ip6tables', bridgeNetfilter)
    const outside = await machine.outside()
    await machine.start()
    const portMappings = protocols.flatMap((protocol) => [
      { hostPort: 8080, containerPort: 80, protocol },
      { hostPort: 8081, containerPort: 80, protocol, hostIP: '192.0.2.1' },
    ])
    await machine.pod('a', { portMappings })
    await machine.pod('b')
    const [inA, inB, onHost] = await Promise.all([machine.peer('a'), machine.peer('b'), machine.peer()])
    for (const protocol of protocols) {
      await inA.serve(protocol, 80, 'a')
      expect(await outside.ask(protocol, '192.0.2.1', 8080)).toBe('a 192.0.2.2')
      expect(await outside.ask(protocol, '2001:db8::1', 8080)).toBe('a 2001:db8::2')
      expect(await onHost.ask(protocol, '127.0.0.1', 8080)).toBe('a 10.88.0.1')
      // Linux lets nothing for ::1 leave the host: refused at once, so that clients go on to 127.0.0.1.
      if (protocol === 'tcp') expect(await onHost.ask('tcp', '::1', 8080)).toBe('ECONNREFUSED')
      expect(await onHost.ask(protocol, '192.0.2.1', 8080)).toMatch(/^a /)
      expect(await onHost.ask(protocol, 'fd88::1', 8080)).toMatch(/^a /)
      expect(await inB.ask(protocol, '10.88.0.1', 8080)).toMatch(/^a /)
      expect(await inB.ask(protocol, 'fd88::1', 8080)).toMatch(/^a /)
      expect(await outside.ask(protocol, '192.0.2.1', 8081)).toBe('a 192.0.2.2')
      expect(await onHost.ask(protocol, '127.0.0.1', 8081, { timeout: 300 })).not.toMatch(/^a /)
    }
  })

  it('forgets the flows of a UDP port that changes hands', async () => {
    const outside = await machine.outside()
    await machine.start()
    const portMappings = [{ hostPort: 5353, containerPort: 53, protocol: 'udp' as const }]
    const onHost = await machine.peer()
    await onHost.serve('udp', 5354, 'host')
    await machine.pod('a', { portMappings })
    await machine.sandbox('b')
    const [inA, inB] = await Promise.all([machine.peer('a'), machine.peer('b')])
    await inA.serve('udp', 53, 'a')
    await inB.serve('udp', 53, 'b')
    const ask = () => outside.ask('udp', '192.0.2.1', 5353, { localPort: 40000 })
    expect(await ask()).toBe('a 192.0.2.2')
    await machine.remove('a')
    await machine.again('b', { portMappings })
    expect(await ask()).toBe('b 192.0.2.2')
  })

  const hairpins = [
    { hairpinMode: 'hairpin-veth', bridgeNetfilter: 0, answers: true },
    { hairpinMode: 'hairpin-veth', bridgeNetfilter: 1, answers: true },
    { hairpinMode: 'promiscuous-bridge', bridgeNetfilter: 0, answers: true },
    { hairpinMode: 'promiscuous-bridge', bridgeNetfilter: 1, answers: true },
    { hairpinMode: 'none', bridgeNetfilter: 1, answers: false },
  ] as const
  it.each(hairpins)(
    'reaches itself by its own port: $hairpinMode, bridge-nf-call-iptables $bridgeNetfilter',
    async ({ hairpinMode, bridgeNetfilter, answers }) => {
      writeSysctl('net/bridge/bridge-nf-call-iptables', bridgeNetfilter)
      writeSysctl('net/bridge/bridge-nf-call-ip6tables', bridgeNetfilter)
      await machine.start({ hairpinMode })
      const ports = { hostPort: 8080, containerPort: 80 }
      await machine.pod('self', { portMappings: protocols.map((protocol) => ({ ...ports, protocol })) })
      const inside = await machine.peer('self')
      for (const protocol of protocols) {
        await inside.serve(protocol, 80, 'self')
        for (const gateway of ['10.88.0.1', 'fd88::1']) {
          const answer = await inside.ask(protocol, gateway, 8080, { timeout: answers ? 3000 : 300 })
          expect(answer, `${protocol} ${gateway}`).toBe(answers ? `self ${gateway}` : 'timeout')
        }
      }
      if (datapath !== 'bridge') return
      const [bridge] = JSON.parse(run('ip', ['-j', 'link', 'show', 'cbr0'])) as { flags: string[] }[]
      expect(bridge?.flags.includes('PROMISC')).toBe(hairpinMode === 'promiscuous-bridge')
    },
  )
})
