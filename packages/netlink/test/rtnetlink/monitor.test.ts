import { spawnSync } from 'node:child_process'
import { expect, it } from 'vitest'
import { links, type NetworkChange, readSysctl, watchNetwork, writeSysctl } from '../../src/index.ts'
import { describeIsolated, openFiles, running, useSandbox } from '../sandbox.ts'

describeIsolated('watchNetwork', () => {
  const box = useSandbox()

  async function until(changes: AsyncIterable<NetworkChange>, isLast: (change: NetworkChange) => boolean) {
    const seen: NetworkChange[] = []
    for await (const change of changes) {
      seen.push(change)
      if (isLast(change)) break
    }
    return seen
  }

  it('tells of links, addresses, routes and neighbours that ip makes and deletes', async () => {
    const before = openFiles()
    const changes = watchNetwork(box.netlink, ['link', 'address', 'route', 'neighbour'])
    box.run('ip link add name br0 type bridge')
    box.run('ip link set br0 up')
    box.run('ip address add 10.5.0.1/24 dev br0')
    box.run('ip route add 10.6.0.0/16 via 10.5.0.2')
    box.run('ip neigh add 10.5.0.7 lladdr 0a:58:00:00:00:01 dev br0')
    box.run('ip link del br0')
    const seen = await until(changes, (change) => change.what === 'link' && change.change === 'deleted')
    expect(seen[0]).toMatchObject({ change: 'new', what: 'link', link: { name: 'br0', kind: 'bridge' } })
    expect(seen).toContainEqual(
      expect.objectContaining({
        change: 'new',
        what: 'address',
        address: expect.objectContaining({ address: '10.5.0.1/24' }),
      }),
    )
    expect(seen).toContainEqual(
      expect.objectContaining({
        change: 'new',
        what: 'route',
        route: expect.objectContaining({ destination: '10.6.0.0/16', gateway: '10.5.0.2' }),
      }),
    )
    expect(seen).toContainEqual(
      expect.objectContaining({
        change: 'new',
        what: 'neighbour',
        neighbour: expect.objectContaining({ address: '10.5.0.7' }),
      }),
    )
    expect(seen).toContainEqual(expect.objectContaining({ change: 'deleted', what: 'address' }))
    expect(openFiles()).toBe(before)
  })

  it("takes what a bridge says of its own ports and forwarding table for no link's or neighbour's", async () => {
    box.run('ip link add name br0 type bridge')
    box.run('ip link add name veth0 type veth peer name veth1')
    const changes = watchNetwork(box.netlink, ['link', 'neighbour'])
    box.run('ip link set veth0 master br0')
    box.run('bridge fdb add 0a:58:00:00:00:07 dev veth0 master static')
    box.run('ip link set veth0 nomaster')
    box.run('ip link del veth0')
    const seen = await until(changes, (change) => change.what === 'link' && change.change === 'deleted')
    expect(seen.every((change) => change.what === 'link')).toBe(true)
    expect(seen.at(-1)).toMatchObject({ link: { name: expect.stringMatching(/^veth[01]$/) } })
    expect(seen.filter(({ change }) => change === 'deleted')).toHaveLength(1)
  })

  it('ends when the signal aborts, before or meanwhile', async () => {
    const before = openFiles()
    const controller = new AbortController()
    setTimeout(() => controller.abort(), 20)
    expect(
      await until(watchNetwork(box.netlink, ['link'], { signal: controller.signal }), () => false),
    ).toEqual([])
    expect(
      await until(watchNetwork(box.netlink, ['link'], { signal: AbortSignal.abort() }), () => false),
    ).toEqual([])
    expect(openFiles()).toBe(before)
  })

  it('says so when it fell behind', async () => {
    const changes = watchNetwork(box.netlink, ['link'])
    // Within one turn, so that nothing is read in between.
    for (let count = 0; count < 6000; count++) box.netlink.runSync(links.set('lo', { up: count % 2 === 0 }))
    await expect(until(changes, () => false)).rejects.toMatchObject({ code: 'ENOBUFS' })
  })

  it('lets the process end', () => {
    const script = `
      const { openNetlink, watchNetwork } = await import(${JSON.stringify(new URL('../../src/index.ts', import.meta.url).pathname)})
      const netlink = openNetlink()
      const changes = watchNetwork(netlink, ['link'])
      const first = changes.next()
      await changes.return()
      console.log((await first).done)`
    const { stdout, status } = spawnSync(process.execPath, [...running(script)], {
      encoding: 'utf8',
      timeout: 10_000,
    })
    expect({ stdout, status }).toEqual({ stdout: 'true\n', status: 0 })
  })
})

describeIsolated('sysctls', () => {
  const box = useSandbox()
  it('are those of the namespace', () => {
    const path = 'net/ipv4/ip_forward'
    const outside = readSysctl(path)
    const other = outside === '1' ? '0' : '1'
    writeSysctl(path, other, box.path)
    expect([readSysctl(path, box.path), readSysctl(path)]).toEqual([other, outside])
    expect(box.run('cat /proc/sys/net/ipv4/ip_forward').trim()).toBe(other)
    expect(() => readSysctl('net/nope')).toThrow(expect.objectContaining({ code: 'ENOENT' }))
  })
})
