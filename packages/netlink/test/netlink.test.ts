import { execFileSync, spawnSync } from 'node:child_process'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { expect, it } from 'vitest'
import {
  addresses,
  conntrack,
  createNetns,
  links,
  neighbours,
  openNetlink,
  qdiscs,
  routes,
  withNetns,
} from '../src/index.ts'
import { describeIsolated, openFiles, ownNetns, running, useSandbox } from './sandbox.ts'

const bridge = (name: string) => links.add({ kind: 'bridge', name })
const failure = (act: () => unknown) => {
  try {
    act()
  } catch (error) {
    return error as Error & { code: string; details: Record<string, unknown> }
  }
  throw new Error('it did not fail')
}

describeIsolated('openNetlink', () => {
  const box = useSandbox()

  it('works in the namespace it was opened in, wherever the process is', async () => {
    createNetns(ownNetns('pod'))
    const here = withNetns(ownNetns('pod'), () => openNetlink())
    here.runSync(bridge('sync0'))
    await here.run(bridge('async0'))
    const shown = withNetns(ownNetns('pod'), () => execFileSync('ip', ['-br', 'link'], { encoding: 'utf8' }))
    expect(shown).toMatch(/sync0[\s\S]*async0/)
    expect(box.run('ip -br link')).not.toContain('sync0')
    here.close()
  })

  it('tells what was wrong in the words of the kernel', () => {
    expect(
      failure(() => box.netlink.runSync(routes.add({ destination: '10.0.0.0/8', gateway: '192.0.2.1' }))),
    ).toMatchObject({
      code: 'ENETUNREACH',
      message: 'add route 10.0.0.0/8 via 192.0.2.1: Nexthop has invalid gateway (ENETUNREACH)',
      details: { errno: 101, kernelText: 'Nexthop has invalid gateway' },
    })
    expect(
      failure(() => box.netlink.runSync(links.add({ kind: 'vxlan', name: 'x', vni: 2 ** 24 }))),
    ).toMatchObject({
      code: 'ERANGE',
      details: { kernelText: 'VXLAN ID must be lower than 16777216', offset: expect.any(Number) },
    })
    expect(failure(() => box.netlink.runSync(links.del('nope')))).toMatchObject({
      code: 'ENODEV',
      message: 'delete link nope: there is no such link (ENODEV)',
    })
  })

  it.each([
    () => links.get('a/b'),
    () => links.get('sixteen-letters-'),
    () => links.set(1, { address: '0a:58' }),
    () => addresses.add({ dev: 1, address: '10.0.0.1/33' }),
    () => addresses.add({ dev: 1, address: '10.0.0/8' }),
    () => addresses.add({ dev: 1, address: '10.0.0.1/' }),
    () => routes.add({ destination: 'fe80::1%eth0/64' }),
  ])('refuses an argument that can not be right (%#)', (request) => {
    expect(failure(() => box.netlink.runSync(request()))).toMatchObject({ code: 'ERR_NETLINK_ARGUMENT' })
  })

  it('runs a batch past a failure, and says which failed', async () => {
    const requests = [bridge('a'), bridge('a'), bridge('b'), bridge('b')]
    const error = failure(() => box.netlink.batchSync(requests))
    expect(error).toMatchObject({ code: 'EEXIST', details: { request: 1, operation: 'add link a' } })
    expect(error.message).toContain('add link a (request 2 of 4)')
    expect(error.message).toContain('1 more')
    expect(box.json('ip -j link')).toHaveLength(3)
    await expect(box.netlink.batch(requests.slice(0, 1))).rejects.toMatchObject({ code: 'EEXIST' })
  })

  it('gives a batch’s results each its own type, dumps among them', () => {
    const [, link, all] = box.netlink.batchSync([bridge('a'), links.get('a'), links.list()])
    expect(link.kind).toBe('bridge')
    expect(all.map(({ name }) => name)).toEqual(['lo', 'a'])
  })

  it('keeps many requests apart that run at the same time', async () => {
    const names = Array.from({ length: 60 }, (_, index) => `b${index}`)
    const made = Promise.all(names.map((name) => box.netlink.run(bridge(name))))
    for (let count = 0; count < 50; count++) {
      expect(box.netlink.runSync(links.get('lo')).name).toBe('lo')
      await new Promise(setImmediate)
    }
    await made
    const got = await Promise.all(names.map((name) => box.netlink.run(links.get(name))))
    expect(got.map(({ name }) => name)).toEqual(names)
  })

  it('deletes without holding up the event loop', async () => {
    const delay = monitorEventLoopDelay({ resolution: 1 })
    for (let count = 0; count < 5; count++)
      box.netlink.runSync(
        links.add({ kind: 'veth', name: `v${count}`, up: true, peer: { name: `p${count}` } }),
      )
    let ticks = 0
    const ticking = setInterval(() => ticks++, 1)
    delay.enable()
    for (let count = 0; count < 5; count++) await box.netlink.run(links.del(`v${count}`))
    delay.disable()
    clearInterval(ticking)
    expect(ticks).toBeGreaterThan(5)
    // Blocking deletes would make nearly every turn 20 ms long; a busy machine only some.
    expect(delay.percentile(90) / 1e6).toBeLessThan(15)
  })

  it('leaves no descriptor behind, also when it fails or is closed in the middle', async () => {
    const before = openFiles()
    for (let count = 0; count < 20; count++) {
      using netlink = openNetlink({ netns: box.path })
      failure(() => netlink.runSync(links.set('lo', { netns: '/etc/passwd' })))
      failure(() => netlink.runSync(links.add({ kind: 'ifb', name: 'lo', netns: box.path })))
    }
    expect(openFiles()).toBe(before)
    const netlink = openNetlink({ netns: box.path })
    const underWay = netlink.run(bridge('late'))
    netlink.close()
    netlink.close()
    await underWay
    await new Promise(setImmediate)
    expect(openFiles()).toBe(before)
    expect(failure(() => netlink.runSync(links.list()))).toMatchObject({ code: 'ERR_NETLINK_CLOSED' })
    await expect(netlink.run(links.list())).rejects.toMatchObject({ code: 'ERR_NETLINK_CLOSED' })
  })

  it('runs one request many times, also at once in two namespaces where a name means another link', async () => {
    createNetns(ownNetns('pod'))
    using pod = openNetlink({ netns: ownNetns('pod') })
    const give = (index: number, address: string) => [
      links.add({ kind: 'ifb', name: 'a', index, up: true }),
      links.add({ kind: 'ifb', name: 'b', index: index + 1, up: true }),
      addresses.add({ dev: index, address }),
      addresses.add({ dev: index + 1, address: '10.9.9.9/24' }),
      neighbours.add({ dev: index, address: '10.1.0.7', lladdr: '0a:58:00:00:00:01' }),
      neighbours.add({ dev: index + 1, address: '10.9.9.7', lladdr: '0a:58:00:00:00:02' }),
    ]
    box.netlink.batchSync(give(20, '10.1.0.1/24'))
    pod.batchSync(give(30, '10.1.0.2/24'))
    const requests = [
      addresses.list({ dev: 'a', family: 'inet' }),
      routes.list({ dev: 'a', family: 'inet' }),
      neighbours.list({ dev: 'a' }),
      qdiscs.list({ dev: 'a' }),
    ] as const
    const answers = await Promise.all(
      [box.netlink, pod, box.netlink].map((netlink) => netlink.batch(requests)),
    )
    const devices = answers.map((answer) => answer.map((list) => [...new Set(list.map(({ dev }) => dev))]))
    expect(devices).toEqual([20, 30, 20].map((index) => [[index], [index], [index], [index]]))
  })

  it('refuses a request of another protocol', () => {
    expect(failure(() => box.netlink.runSync(conntrack.list()))).toMatchObject({
      code: 'ERR_NETLINK_PROTOCOL',
    })
  })

  it('works for root of a user namespace', () => {
    const script = `
      const { openNetlink, links, createNetns } = await import(${JSON.stringify(new URL('../src/index.ts', import.meta.url).pathname)})
      createNetns('/run/pod')
      const netlink = openNetlink()
      netlink.runSync(links.add({ kind: 'veth', name: 'a', peer: { name: 'b', netns: '/run/pod' } }))
      const pod = openNetlink({ netns: '/run/pod' })
      await pod.run(links.set('b', { up: true }))
      console.log(pod.runSync(links.get('b')).up)
      await netlink.run(links.del('a'))
      pod.close()
      netlink.close()`
    const inside = [process.execPath, ...running(script)]
    const { stdout, stderr } = spawnSync(
      'unshare',
      ['-rnm', 'sh', '-c', 'mount -t tmpfs tmpfs /run && exec "$@"', 'sh', ...inside],
      { encoding: 'utf8' },
    )
    expect(stdout, stderr).toBe('true\n')
  })
})
