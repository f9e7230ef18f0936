import { execFileSync } from 'node:child_process'
import { type Netlink, openNetlink } from '@podwire/netlink'
import { isIsolated, type RecordingLogger, recordingLogger } from '@podwire/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { until } from '../../../../.dev/etcd-server.ts'
import { parseNodeValue } from '../../src/layout/lease-value.ts'
import type { Backend } from '../../src/layout/network.ts'
import { parsePodSubnets } from '../../src/layout/pod-subnets.ts'
import { parseSubnet } from '../../src/layout/range.ts'
import { openRoutes, type Routes } from '../../src/routes/routes.ts'
import { findUnderlay, type Underlay } from '../../src/routes/underlay.ts'
import { vtepMacOf } from '../../src/routes/vxlan-link.ts'
import { wantedFor } from '../../src/routes/wanted.ts'

const sh = (command: string) => execFileSync('sh', ['-ec', command], { encoding: 'utf8' })
const vxlan: Backend = { type: 'vxlan', vni: 7, port: 8472, directRouting: false }
const self = {
  nodeName: 'a',
  subnets: parsePodSubnets('10.244.1.0/24,fd00:244:1::/64')!,
  networks: ['10.0.0.0/8', 'fd00:244::/32'].map((one) => parseSubnet(one)!),
}
const peers = (...numbers: number[]) =>
  numbers.map((n) => ({
    subnets: parsePodSubnets(`10.244.${n}.0/24,fd00:244:${n}::/64`)!,
    node: {
      backendType: 'vxlan',
      publicIP: `203.0.113.${n}`,
      publicIPv6: `2001:db8:1::${n}`,
      vtepMac: vtepMacOf(`n${n}`, 7, 4),
      vtepMac6: vtepMacOf(`n${n}`, 7, 6),
    },
  }))
/** What is in the kernel, as ip and bridge show it. */
const shown = () =>
  sh(`ip route show proto 80; ip -6 route show proto 80 | sed 's/ pref medium//'
    for l in podwire.7 podwire-v6.7; do ip neigh show dev $l nud permanent; bridge fdb show dev $l; done 2>/dev/null || true`)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('00:00:00'))
    .sort()

describe.skipIf(!isIsolated())('the routes in the kernel to other nodes', () => {
  let underlay: Underlay
  let routes: Routes
  let log: RecordingLogger
  const repairs: string[] = []

  beforeEach(async () => {
    sh(`ip link add eth0 type bridge; ip link set eth0 up
      ip addr add 192.0.2.1/24 dev eth0; ip addr add 192.0.2.77/24 dev eth0; ip addr add 2001:db8::1/64 dev eth0 nodad
      ip route add default via 192.0.2.254; ip -6 route add default via 2001:db8::fe`)
    const netlink = openNetlink()
    underlay = await findUnderlay(netlink, {})
    netlink.close()
    repairs.length = 0
    log = recordingLogger()
    routes = openRoutes({ log, checkMs: 2_000, onRepair: (what) => repairs.push(...what) })
  })
  afterEach(async () => {
    await routes.close()
    sh('for l in podwire.7 podwire-v6.7 eth0; do ip link del $l 2>/dev/null || true; done')
  })

  test('are made for each node, and taken away with it', async () => {
    expect(underlay).toMatchObject({ name: 'eth0', publicIP: '192.0.2.1', publicIPv6: '2001:db8::1' })
    await routes.apply(wantedFor(self, peers(2, 3), vxlan, underlay))
    expect(shown()).toEqual(
      [
        '10.244.2.0/24 via 10.244.2.0 dev podwire.7 onlink',
        '10.244.3.0/24 via 10.244.3.0 dev podwire.7 onlink',
        'fd00:244:2::/64 via fd00:244:2:: dev podwire-v6.7 metric 1024 onlink',
        'fd00:244:3::/64 via fd00:244:3:: dev podwire-v6.7 metric 1024 onlink',
        ...[2, 3].flatMap((n) => [
          `10.244.${n}.0 lladdr ${vtepMacOf(`n${n}`, 7, 4)} PERMANENT`,
          `fd00:244:${n}:: lladdr ${vtepMacOf(`n${n}`, 7, 6)} PERMANENT`,
          `${vtepMacOf(`n${n}`, 7, 4)} dst 203.0.113.${n} self permanent`,
          `${vtepMacOf(`n${n}`, 7, 6)} dst 2001:db8:1::${n} self permanent`,
        ]),
      ].sort(),
    )
    const [link] = JSON.parse(sh('ip -d -j link show podwire.7'))
    expect(link).toMatchObject({
      mtu: 1450,
      address: vtepMacOf('a', 7, 4),
      ifalias: 'podwire cluster',
      linkinfo: { info_data: { id: 7, port: 8472, learning: false, local: '192.0.2.1' } },
    })
    expect(sh('ip -4 -br addr show podwire.7')).toContain('10.244.1.0/32')
    await routes.apply(wantedFor(self, peers(3), vxlan, underlay))
    expect(shown().filter((line) => line.includes('10.244.2.') || line.includes('203.0.113.2'))).toEqual([])
    expect(shown()).toHaveLength(6)
    await routes.withdraw()
    expect(shown()).toEqual([])
    expect(sh('ip -br link')).not.toContain('podwire')
  })

  test.each([
    ['a route', 'ip route del 10.244.2.0/24'],
    ['an IPv6 route', 'ip -6 route del fd00:244:2::/64'],
    ['all routes', 'ip route flush proto 80'],
    ['a neighbour', 'ip neigh del 10.244.2.0 dev podwire.7'],
    ['a MAC address', 'ip neigh replace 10.244.2.0 lladdr 02:00:00:00:00:09 dev podwire.7 nud permanent'],
    ['a forwarding entry', `bridge fdb del ${vtepMacOf('n2', 7, 4)} dev podwire.7 dst 203.0.113.2`],
    ['the link', 'ip link del podwire.7'],
    ['the state of the link', 'ip link set podwire.7 down'],
    ['its address', 'ip addr del 10.244.1.0/32 dev podwire.7'],
  ])('are put back when somebody changes %s', async (_what, harm) => {
    await routes.apply(wantedFor(self, peers(2, 3), vxlan, underlay))
    const before = shown()
    sh(harm)
    await until(() => repairs.length > 0)
    await until(() => JSON.stringify(shown()) === JSON.stringify(before))
    expect(sh('ip -4 -br addr show podwire.7')).toContain('10.244.1.0/32')
    expect(sh('ip -br link show podwire.7')).toContain('UP')
  })

  test('are made once, however somebody spelt an address of the node', async () => {
    const value = { PublicIPv6: '2001:DB8:0::2', BackendType: 'host-gw' }
    const node = parseNodeValue(JSON.stringify(value))!
    const peer = { subnets: parsePodSubnets('fd00:244:2::/64')!, node }
    await routes.apply(wantedFor(self, [peer], { type: 'host-gw' }, underlay))
    // What the kernel tells of it is looked at first, and then the harm is mended.
    sh('ip -6 route del fd00:244:2::/64')
    await until(() => shown().length === 1 && repairs.length > 0)
    const looked = repairs.length
    await routes.apply(wantedFor(self, [peer], { type: 'host-gw' }, underlay))
    await new Promise((resolve) => setTimeout(resolve, 2_500))
    expect(repairs.length).toBe(looked)
  })

  test('are found as an earlier process left them, and only what differs is touched', async () => {
    await routes.apply(wantedFor(self, peers(2, 3), vxlan, underlay))
    await routes.close()
    const [before] = JSON.parse(sh('ip -j link show podwire.7'))
    routes = openRoutes({ log: recordingLogger() })
    await routes.apply(wantedFor(self, peers(3, 4), vxlan, underlay))
    const [after] = JSON.parse(sh('ip -j link show podwire.7'))
    expect(after.ifindex).toBe(before.ifindex)
    expect(shown().filter((line) => line.startsWith('10.244.') && line.includes('via'))).toEqual([
      '10.244.3.0/24 via 10.244.3.0 dev podwire.7 onlink',
      '10.244.4.0/24 via 10.244.4.0 dev podwire.7 onlink',
    ])
  })

  test('leave the route of somebody else as it is, and say so', async () => {
    sh('ip route add 10.244.2.0/24 via 192.0.2.78')
    await routes.apply(wantedFor(self, peers(2, 3), vxlan, underlay))
    expect(routes.problem).toContain('10.244.2.0/24')
    expect(sh('ip route show 10.244.2.0/24')).toContain('via 192.0.2.78')
    sh('ip route del 10.244.2.0/24')
    await until(() => routes.problem === undefined)
    expect(shown().some((line) => line.startsWith('10.244.2.0/24'))).toBe(true)
  })

  test('lead to none that says an address of this node is its own, which is told once', async () => {
    const odd = {
      subnets: parsePodSubnets('10.244.2.0/24')!,
      node: { nodeName: 'odd', backendType: 'host-gw', publicIP: '192.0.2.77' },
    }
    for (const wanted of [odd, odd].map((one) => wantedFor(self, [one], { type: 'host-gw' }, underlay)))
      await routes.apply(wanted)
    expect(shown()).toEqual([])
    expect(routes.problem).toBeUndefined()
    expect(log.messages('warn')).toEqual([
      "cluster: no way to the pods of 10.244.2.0/24, of node odd: its address 192.0.2.77 is this node's own",
    ])
  })

  test('take no link that is not theirs', async () => {
    sh('ip link add podwire.7 type bridge')
    await expect(routes.apply(wantedFor(self, peers(2), vxlan, underlay))).rejects.toMatchObject({
      code: 'LINK_IN_THE_WAY',
    })
    sh('ip link del podwire.7')
    await until(() => shown().length === 6)
  })

  test('change with the backend: the link goes where none is needed', async () => {
    await routes.apply(wantedFor(self, peers(2), vxlan, underlay))
    const near = peers(2).map(({ subnets }) => ({
      subnets,
      node: { backendType: 'host-gw', publicIP: '192.0.2.2', publicIPv6: '2001:db8::2' },
    }))
    await routes.apply(wantedFor(self, near, { type: 'host-gw' }, underlay))
    expect(shown()).toEqual([
      '10.244.2.0/24 via 192.0.2.2 dev eth0',
      'fd00:244:2::/64 via 2001:db8::2 dev eth0 metric 1024',
    ])
    expect(sh('ip -br link')).not.toContain('podwire')
  })

  test('are back when the link of the node was down', async () => {
    const near = [
      { subnets: parsePodSubnets('10.244.2.0/24')!, node: { backendType: 'host-gw', publicIP: '192.0.2.2' } },
    ]
    await routes.apply(wantedFor(self, near, { type: 'host-gw' }, underlay))
    sh('ip link set eth0 down')
    expect(sh('ip route show proto 80')).toBe('')
    sh('ip link set eth0 up')
    await until(() => sh('ip route show proto 80').trim() === '10.244.2.0/24 via 192.0.2.2 dev eth0')
  })

  test('what the kernel refuses of one keeps no other from its own', async () => {
    const odd = [
      {
        subnets: parsePodSubnets('10.244.2.0/24')!,
        node: { backendType: 'host-gw', publicIP: '192.0.2.255' },
      },
    ]
    const near = [
      { subnets: parsePodSubnets('10.244.3.0/24')!, node: { backendType: 'host-gw', publicIP: '192.0.2.3' } },
    ]
    const wanted = wantedFor(self, [...odd, ...near], { type: 'host-gw' }, underlay)
    await expect(routes.apply(wanted)).rejects.toThrow('10.244.2.0/24')
    expect(routes.problem).toContain('10.244.2.0/24')
    expect(sh('ip route show proto 80')).toContain('10.244.3.0/24 via 192.0.2.3')
  })

  test('a thousand nodes are one pass, and one that comes, moves or goes is a few messages', async () => {
    const node = (n: number, publicIP = `203.${n >> 8}.${n & 255}.1`) => ({
      subnets: parsePodSubnets(`10.${100 + (n >> 8)}.${n & 255}.0/24`)!,
      node: { backendType: 'vxlan', publicIP, vtepMac: vtepMacOf(`n${n}`, 7, 4) },
    })
    const many = Array.from({ length: 1_000 }, (_, n) => node(n))
    const asked: string[] = []
    const counted = openRoutes({ log: recordingLogger(), netlink: counting(openNetlink(), asked) })
    try {
      await counted.apply(wantedFor(self, many.slice(1), vxlan, underlay))
      // What the kernel tells of it meanwhile leads to no look at it.
      await new Promise((resolve) => setTimeout(resolve, 200))
      const messagesFor = async (all: typeof many) => {
        asked.length = 0
        await counted.apply(wantedFor(self, all, vxlan, underlay))
        await new Promise((resolve) => setTimeout(resolve, 200))
        return [...asked]
      }
      const mac = vtepMacOf('n0', 7, 4)
      expect(await messagesFor(many)).toEqual([
        `replace forwarding entry ${mac} of link ${vxlanIndex()}`,
        `replace neighbour 10.100.0.0 on link ${vxlanIndex()}`,
        `replace route 10.100.0.0/24 via 10.100.0.0 on link ${vxlanIndex()}`,
      ])
      expect(sh('ip route show proto 80 | wc -l').trim()).toBe('1000')
      expect(await messagesFor([node(0, '198.51.100.1'), ...many.slice(1)])).toHaveLength(1)
      expect(await messagesFor(many.slice(1))).toHaveLength(3)
      expect(await messagesFor(many.slice(1))).toEqual([])
    } finally {
      await counted.close()
    }
  })
})

const vxlanIndex = () => String(JSON.parse(sh('ip -j link show podwire.7'))[0].ifindex)

/** Notes each message that is sent. */
function counting(netlink: Netlink, asked: string[]): Netlink {
  return {
    ...netlink,
    run(request) {
      asked.push(request.operation)
      return netlink.run(request)
    },
    batch(requests) {
      asked.push(...requests.map(({ operation }) => operation))
      return netlink.batch(requests)
    },
  }
}

describe.skipIf(!isIsolated())('the address of a node', () => {
  test('is not guessed where there is nothing to go by', async () => {
    const netlink = openNetlink()
    await expect(findUnderlay(netlink, {})).rejects.toMatchObject({ code: 'NO_PUBLIC_ADDRESS' })
    await expect(findUnderlay(netlink, { interface: 'none0' })).rejects.toThrow('no link none0')
    netlink.close()
  })
})
