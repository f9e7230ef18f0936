import { type AllowedFlow, type ClosedFlow, FLOWS_WANTED } from '@podwire/api'
import { conntrack, NETLINK_NETFILTER, openNetlink, readSysctl } from '@podwire/netlink'
import { expect, it, onTestFinished } from 'vitest'
import { describeIsolated, useMachine } from '../support/machine.ts'
import { openSockets } from '../support/open-sockets.ts'
import { startUpstream } from './names/upstream.ts'

const ACCOUNTING = 'net/netfilter/nf_conntrack_acct'
const ANYBODY = '9.9.9.9'
const registry = '93.184.216.34'

describeIsolated('flows that are allowed', () => {
  const machine = useMachine()
  const told = <T extends AllowedFlow>(name: string) =>
    machine.host.reports.filter(({ event }) => event === name).map(({ details }) => details as unknown as T) // kubenet's own
  const allowed = () => told<AllowedFlow>('flow:allowed')
  const closed = () => told<ClosedFlow>('flow:closed')
  const watch = (wanted: boolean) => machine.plugin.event(FLOWS_WANTED, { wanted })
  const pod = { namespace: 'test', name: 'pod', sandboxId: 'pod' }

  it('are told while somebody wants to know, with what went by them, and cost nothing else', async () => {
    const outside = await machine.outside()
    for (const port of [80, 81]) await outside.serve('tcp', port, 'outside')
    await machine.start()
    await machine.pod('pod')
    const peer = await machine.peer('pod')
    expect(readSysctl(ACCOUNTING)).toBe('0')
    await peer.ask('tcp', '192.0.2.2', 81)

    await watch(true)
    expect(readSysctl(ACCOUNTING)).toBe('1')
    // What is there already is told first: closed, it is remembered by the kernel for two minutes.
    expect(allowed()).toEqual([
      { pod, direction: 'egress', protocol: 'tcp', address: '192.0.2.2', port: 81, count: 1 },
    ])
    for (let time = 0; time < 3; time++) await peer.ask('tcp', '192.0.2.2', 80)
    const own = () => allowed().filter(({ port }) => port === 80)
    await expect.poll(() => own().reduce((sum, { count }) => sum + count, 0)).toBe(3)
    expect(own()[0]).toMatchObject({ pod, direction: 'egress', protocol: 'tcp', address: '192.0.2.2' })
    expect(Date.now() - Date.parse(own()[0]?.start ?? '')).toBeLessThan(60_000)
    expect(closed()).toEqual([])

    await machine.remove('pod')
    const [first, ...more] = closed().filter(({ port }) => port === 80)
    expect(more).toEqual([])
    expect(first).toMatchObject({ pod, direction: 'egress', address: '192.0.2.2', port: 80, count: 3 })
    expect(first?.durationMs).toBeGreaterThan(0)
    // Three handshakes, and three answers that are more than their headers.
    expect(first?.sent).toMatchObject({ packets: expect.any(Number), bytes: expect.any(Number) })
    expect(first?.sent?.packets).toBeGreaterThanOrEqual(9)
    expect(first?.received?.bytes).toBeGreaterThan((first?.received?.packets ?? 0) * 40 + 3 * 10)
    await watch(false)
    const idle = openSockets()
    await watch(true)
    expect(openSockets()).toBeGreaterThan(idle)
    await watch(false)
    expect({ sockets: openSockets(), counts: readSysctl(ACCOUNTING) }).toEqual({ sockets: idle, counts: '0' })
  })

  /** A pod that may reach the registry by its name. */
  async function startNamed() {
    const outside = await machine.outside(registry)
    await outside.serve('tcp', 443, 'outside')
    const upstream = await startUpstream(({ name }) => [{ type: 'A', name, ttl: 60, data: registry }])
    onTestFinished(() => upstream.close())
    await machine.start({ options: { nameServers: [upstream.server] } })
    await machine.pod('pod', { policy: { egress: { default: 'deny', allow: [{ host: 'registry.test' }] } } })
    return machine.peer('pod')
  }

  it('are told with the name that the pod asked for, and nothing is of what was denied', async () => {
    const peer = await startNamed()
    await watch(true)
    expect(await peer.resolve('registry.test', ANYBODY)).toBe(registry)
    expect(await peer.ask('tcp', registry, 443)).toMatch(/^outside/)
    expect(await peer.ask('tcp', '192.0.2.2', 443)).toBe('EHOSTUNREACH')
    await machine.remove('pod')
    // What it asked the resolver is nothing that it reached.
    expect(closed()).toEqual([
      expect.objectContaining({ protocol: 'tcp', address: registry, port: 443, name: 'registry.test' }),
    ])
    expect(allowed().map(({ port }) => port)).toEqual([443])
    expect(allowed().some(({ address }) => address === '192.0.2.2')).toBe(false)
  })

  it('that are open keep the name, whatever policy the pod has by then', async () => {
    const peer = await startNamed()
    expect(await peer.resolve('registry.test', ANYBODY)).toBe(registry)
    expect(await peer.ask('tcp', registry, 443)).toMatch(/^outside/)
    await machine.pod('pod', { policy: { egress: { default: 'deny', allow: [{ cidr: `${registry}/32` }] } } })
    for (let times = 0; times < 2; times++) {
      machine.host.reports.length = 0
      await watch(true)
      const [open, ...more] = allowed().filter(({ port }) => port === 443)
      expect({ open, more }).toMatchObject({ open: { name: 'registry.test', count: 1 }, more: [] })
      expect(open).not.toHaveProperty('start')
      await watch(false)
    }
  })

  it('are told with the name of a pod that was asked for, denied ones too, and only while that pod has the address', async () => {
    await machine.start()
    const { ip } = await machine.pod('web')
    const policy = { egress: { default: 'deny' as const, allow: [{ pod: 'test/*', ports: [80] }] } }
    await machine.pod('pod', { policy })
    const peer = await machine.peer('pod')
    const serve = async (id: string) => (await machine.peer(id)).serve('tcp', 80, id)
    await serve('web')
    await watch(true)
    const namesOf = (event: 'flow:allowed' | 'flow:denied') =>
      told<AllowedFlow>(event)
        .filter(({ protocol, direction }) => protocol === 'tcp' && direction === 'egress')
        .map(({ address, port, name }) => ({ address, port, name }))
    expect(await peer.ask('tcp', ip, 80)).toMatch(/^web/)
    await expect.poll(() => namesOf('flow:allowed')).toEqual([{ address: ip, port: 80, name: undefined }])
    expect(await peer.resolve('web.test.pod', ANYBODY)).toBe(ip)
    expect(await peer.ask('tcp', ip, 80)).toMatch(/^web/)
    await peer.ask('tcp', ip, 81, { timeout: 500 })
    const named = { address: ip, name: 'web.test.pod' }
    await expect.poll(() => namesOf('flow:allowed')).toContainEqual({ ...named, port: 80 })
    await expect.poll(() => namesOf('flow:denied')).toEqual([{ ...named, port: 81 }])

    await machine.remove('web')
    await machine.pod('other', { annotations: { 'podwire.dev/ip': ip } })
    await serve('other')
    expect(await peer.ask('tcp', ip, 80)).toMatch(/^other/)
    const allowed = () => namesOf('flow:allowed')
    await expect.poll(() => allowed().filter(({ name }) => name === undefined).length).toBe(2)
    expect(allowed()).toHaveLength(3)
  })

  it('are told of both pods of a connection, by a published port too', async () => {
    const outside = await machine.outside()
    await machine.start()
    await machine.pod('pod')
    await machine.pod('web', { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] })
    const [peer, web] = [await machine.peer('pod'), await machine.peer('web')]
    await web.serve('tcp', 80, 'web')
    await watch(true)
    await peer.ask('tcp', '10.88.0.3', 80)
    await outside.ask('tcp', '192.0.2.1', 8080)
    const flows = () =>
      allowed().map(({ pod: { name }, direction, address, port }) => ({ name, direction, address, port }))
    await expect.poll(() => flows().length).toBe(3)
    expect(flows()).toEqual(
      expect.arrayContaining([
        { name: 'pod', direction: 'egress', address: '10.88.0.3', port: 80 },
        { name: 'web', direction: 'ingress', address: '10.88.0.2', port: 80 },
        { name: 'web', direction: 'ingress', address: '192.0.2.2', port: 80 },
      ]),
    )
  })

  it('are told when the kernel forgets them, once', async () => {
    const outside = await machine.outside()
    await outside.serve('udp', 53, 'outside')
    await machine.start()
    await machine.pod('pod')
    await watch(true)
    await (await machine.peer('pod')).ask('udp', '192.0.2.2', 53)
    using netlink = openNetlink({ protocol: NETLINK_NETFILTER })
    expect(await conntrack.flush(netlink, { port: 53, address: '192.0.2.2' })).toBe(1)
    await expect.poll(closed).toMatchObject([{ protocol: 'udp', port: 53, count: 1 }])
    await machine.remove('pod')
    await watch(false)
    expect(closed()).toHaveLength(1)
  })

  it('that are more than can be told are told as lost, and what comes after them is told', async () => {
    const outside = await machine.outside()
    await outside.serve('tcp', 80, 'outside')
    await machine.start({ options: { connections: 0 } })
    await machine.pod('pod')
    const peer = await machine.peer('pod')
    await watch(true)
    await peer.scatter('192.0.2.2', 20_000)
    await expect.poll(() => machine.host.reports.some(({ event }) => event === 'flow:lost')).toBe(true)
    expect(allowed().length).toBeLessThan(20_000)
    // The first ones may come while there is no room for them.
    await expect
      .poll(
        async () => {
          await peer.ask('tcp', '192.0.2.2', 80)
          return allowed().some(({ protocol }) => protocol === 'tcp')
        },
        { timeout: 30_000, interval: 300 },
      )
      .toBe(true)
  })
})
