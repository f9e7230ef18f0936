import type { Pod } from '@podwire/api'
import { expect, it } from 'vitest'
import { describeDatapaths, never, run, useMachine } from './support/machine.ts'

describeDatapaths('a pod with interfaces of other names (%s)', (datapath) => {
  const machine = useMachine(datapath)

  /** Another attachment of a sandbox. */
  const further = (id: string, ifName: string, of: string, annotations = {}): Pod => ({
    ...machine.sandbox(id, { annotations }),
    netns: machine.netnsOf(of),
    ifName,
  })
  const inside = (id: string, ...args: string[]) =>
    run('nsenter', [`--net=${machine.netnsOf(id)}`, 'ip', ...args])

  it('is reached by the addresses of each, goes out by the first, and keeps that when a further one goes', async () => {
    const plugin = await machine.start()
    await machine.pod('a')
    await machine.pod('b')
    const before = [inside('a', 'rule'), inside('a', '-6', 'rule')]
    const ways = [inside('a', 'route', 'show', 'default'), inside('a', '-6', 'route', 'show', 'default')]
    const pod = further('a1', 'net1', 'a')
    const status = await plugin.setUpPod(pod, never())
    const [made] = status?.interfaces ?? []
    expect(made).toMatchObject({ name: 'net1', ips: ['10.88.0.4', 'fd88::4'] })
    expect(made?.routes).toBeUndefined()
    expect([inside('a', 'route', 'show', 'default'), inside('a', '-6', 'route', 'show', 'default')]).toEqual(
      ways,
    )

    const [server, neighbour, host] = await Promise.all([
      machine.peer('a'),
      machine.peer('b'),
      machine.peer(),
    ])
    for (const protocol of ['tcp', 'udp'] as const) {
      await server.serve(protocol, 80, 'a')
      for (const address of ['10.88.0.2', 'fd88::2', '10.88.0.4', 'fd88::4']) {
        const isV6 = address.includes(':')
        expect(await host.ask(protocol, address, 80)).toBe(`a ${isV6 ? 'fd88::1' : '10.88.0.1'}`)
        expect(await neighbour.ask(protocol, address, 80)).toBe(`a ${isV6 ? 'fd88::3' : '10.88.0.3'}`)
      }
    }
    await neighbour.serve('tcp', 81, 'b')
    expect(await server.ask('tcp', '10.88.0.3', 81)).toBe('b 10.88.0.2')

    // Again, as a host does that lost its memory; and what is missing is told of, and mended.
    await plugin.setUpPod(pod, never())
    await plugin.checkPod?.(pod, never())
    inside('a', 'rule', 'del', 'from', '10.88.0.4')
    await expect(plugin.checkPod?.(pod, never())).rejects.toThrow('10.88.0.4')
    await plugin.setUpPod(pod, never())
    await plugin.checkPod?.(pod, never())

    await plugin.tearDownPod(pod, never())
    expect([inside('a', 'rule'), inside('a', '-6', 'rule')]).toEqual(before)
    expect(inside('a', '-br', 'link')).not.toContain('net1')
    await plugin.checkPod?.(machine.host.pods.get('a')!, never())
    expect(await host.ask('tcp', '10.88.0.2', 80)).toBe('a 10.88.0.1')
  })

  it('goes out by the only one it has, whatever it is called', async () => {
    const plugin = await machine.start()
    const pod = { ...machine.sandbox('only'), ifName: 'net7' }
    const status = await plugin.setUpPod(pod, never())
    expect(status?.interfaces?.[0]).toMatchObject({
      name: 'net7',
      routes: [{ destination: '0.0.0.0/0' }, { destination: '::/0' }],
    })
    const outside = await machine.outside()
    await outside.serve('tcp', 80, 'outside')
    expect(await (await machine.peer('only')).ask('tcp', '192.0.2.2', 80)).toMatch(/^outside /)
    await plugin.checkPod?.(pod, never())
  })

  it('has the MAC address that it asks for', async () => {
    const plugin = await machine.start()
    await machine.pod('b')
    const mac = '02:42:0a:58:00:99'
    const status = await machine.pod('a', { annotations: { 'podwire.dev/mac': mac.toUpperCase() } })
    expect(status.interfaces?.[0]?.mac).toBe(mac)
    expect(inside('a', 'link', 'show', 'eth0')).toContain(mac)
    await plugin.checkPod?.(machine.host.pods.get('a')!, never())
    await (await machine.peer('a')).serve('tcp', 80, 'a')
    expect(await (await machine.peer('b')).ask('tcp', '10.88.0.3', 80)).toBe('a 10.88.0.2')
  })

  it('is told of as the kernel has it', async () => {
    await machine.start()
    const { interfaces } = await machine.pod('a')
    const [made] = interfaces ?? []
    const [link] = JSON.parse(run('ip', ['-j', 'link', 'show', 'dev', made?.host?.name ?? '']))
    expect(made?.host?.mac).toBe(link.address)
    const [own] = JSON.parse(inside('a', '-j', 'address', 'show', 'eth0'))
    expect([made?.mac, made?.mtu]).toEqual([own.address, own.mtu])
    const there = own.addr_info.map(
      (one: { local: string; prefixlen: number }) => `${one.local}/${one.prefixlen}`,
    )
    for (const { address } of made?.addresses ?? []) expect(there).toContain(address)
    for (const { gateway } of made?.routes ?? [])
      expect(inside('a', gateway?.includes(':') ? '-6' : '-4', 'route', 'show', 'default')).toContain(gateway)
  })

  it.each([
    ['podwire.dev/mac', { annotations: { 'podwire.dev/mac': '01:00:5e:00:00:01' } }, {}, 'MAC_NOT_USABLE'],
    ['an interface', {}, { ifName: 'näh' }, 'INTERFACE_NAME_NOT_USABLE'],
    ['lo', {}, { ifName: 'lo' }, 'INTERFACE_TAKEN'],
  ])('is refused %s that it can not have, and leaves nothing', async (_, settings, more, code) => {
    const plugin = await machine.start()
    await machine.pod('first')
    const before = machine.traces()
    const pod = { ...machine.sandbox('a', settings), ...more }
    await expect(plugin.setUpPod(pod, never())).rejects.toMatchObject({ code })
    expect(machine.traces()).toEqual(before)
  })
})
