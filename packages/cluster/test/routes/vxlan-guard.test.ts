import { execFileSync } from 'node:child_process'
import { openNetlink } from '@podwire/netlink'
import { isIsolated, recordingLogger } from '@podwire/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { until } from '../../../../.dev/etcd-server.ts'
import type { PlainBackend } from '../../src/layout/network.ts'
import { parsePodSubnets } from '../../src/layout/pod-subnets.ts'
import { parseSubnet } from '../../src/layout/range.ts'
import { openRoutes, type Routes } from '../../src/routes/routes.ts'
import { findUnderlay, type Underlay } from '../../src/routes/underlay.ts'
import { removeVxlanGuard } from '../../src/routes/vxlan-guard.ts'
import { vtepMacOf } from '../../src/routes/vxlan-link.ts'
import { wantedFor } from '../../src/routes/wanted.ts'

const sh = (command: string) => execFileSync('sh', ['-ec', command], { encoding: 'utf8' })
const backend: PlainBackend = { type: 'vxlan', vni: 7, port: 8472, directRouting: false }
const self = {
  nodeName: 'a',
  subnets: parsePodSubnets('10.244.1.0/24,fd00:244:1::/64')!,
  networks: ['10.244.0.0/16', 'fd00:244::/32'].map((one) => parseSubnet(one)!),
}
const peer = {
  subnets: parsePodSubnets('10.244.2.0/24,fd00:244:2::/64')!,
  node: {
    backendType: 'vxlan',
    publicIP: '192.0.2.2',
    publicIPv6: '2001:db8::2',
    vtepMac: vtepMacOf('b', 7, 4),
    vtepMac6: vtepMacOf('b', 7, 6),
  },
}
const hex = (mac: string) => mac.replaceAll(':', '')
const checksum = (bytes: Buffer) => {
  let sum = 0
  for (let at = 0; at < bytes.length; at += 2) sum += bytes.readUInt16BE(at)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16)
  return ~sum & 0xffff
}

/** What the other node sends when 10.244.2.9, a pod of its, says something to 10.244.1.3: in vxlan, without what is around that. */
function vxlanOfPod(): Buffer {
  const udp = Buffer.from('1388' + '1b58' + '000c' + '0000' + '70773131', 'hex')
  const ip = Buffer.from('45000020' + '00000000' + '40110000' + '0af40209' + '0af40103', 'hex')
  ip.writeUInt16BE(checksum(ip), 10)
  const frame = Buffer.from(`${hex(vtepMacOf('a', 7, 4))}${hex(vtepMacOf('b', 7, 4))}0800`, 'hex')
  return Buffer.concat([Buffer.from('0800000000000700', 'hex'), frame, ip, udp])
}

describe.skipIf(!isIsolated())('a pod beside vxlan', () => {
  let underlay: Underlay
  let routes: Routes
  const suffix = process.pid
  const [evil, victim, other] = ['evil', 'victim', 'b'].map((name) => `${name}-${suffix}`) as [
    string,
    string,
    string,
  ]

  /** A namespace behind a link of its own, whose packets are counted by which of them are looked for. */
  const makeNetns = (name: string, link: string, counted: string) =>
    sh(`ip netns add ${name}; ip link add ${link} type veth peer name eth0 netns ${name}
      ip link set ${link} up; ip -n ${name} link set eth0 up
      ip netns exec ${name} nft 'add table inet seen; add chain inet seen c { type filter hook prerouting priority 0; }
        add rule inet seen c ${counted} counter; add rule inet seen c udp dport 9 counter'`)
  /** How many came of those that are looked for, and of those to port 9. */
  const seen = (name: string) =>
    [...sh(`ip netns exec ${name} nft list chain inet seen c`).matchAll(/packets (\d+)/g)].map(([, count]) =>
      Number(count),
    ) as [number, number]
  const giveAddresses = (name: string, last: number) =>
    sh(`ip -n ${name} addr add 10.244.1.${last}/32 dev eth0; ip -n ${name} route add default dev eth0
      ip -n ${name} addr add fd00:244:1::${last}/128 dev eth0 nodad; ip -n ${name} -6 route add default dev eth0`)
  const leadTo = (link: string, last: number) =>
    sh(`ip route add 10.244.1.${last} dev ${link}; ip -6 route add fd00:244:1::${last} dev ${link}
      sysctl -qw net.ipv4.conf.${link}.proxy_arp=1 net.ipv6.conf.${link}.proxy_ndp=1`)
  /** From the pod to a port of a node, as any program there can. */
  const say = (to: string, port = 8472) =>
    sh(`ip netns exec ${evil} ${process.execPath} -e '
      const s = require("node:dgram").createSocket("${to.includes(':') ? 'udp6' : 'udp4'}")
      s.send(Buffer.from("${vxlanOfPod().toString('hex')}", "hex"), ${port}, "${to}", () => s.close())'`)

  beforeEach(async () => {
    sh(`ip link add eth0 type bridge; ip link set eth0 up
      ip addr add 192.0.2.1/24 dev eth0; ip addr add 2001:db8::1/64 dev eth0 nodad
      ip route add default via 192.0.2.254; ip -6 route add default via 2001:db8::fe
      sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv6.conf.all.proxy_ndp=1`)
    makeNetns(evil, 'evil', 'udp dport 9')
    makeNetns(victim, 'victim', 'ip saddr 10.244.2.9 udp dport 7000')
    makeNetns(other, 'other', `udp dport 8472 udp length ${8 + vxlanOfPod().length}`)
    sh(`ip link set other master eth0; ip -n ${other} addr add 192.0.2.2/24 dev eth0; ip -n ${other} addr add 2001:db8::2/64 dev eth0 nodad
      nft 'add table inet nat; add chain inet nat c { type nat hook postrouting priority 100; }
        add rule inet nat c oifname eth0 masquerade'`)
    giveAddresses(evil, 2)
    giveAddresses(victim, 3)
    leadTo('evil', 2)
    leadTo('victim', 3)
    for (const address of ['192.0.2.1', '192.0.2.2', '2001:db8::1', '2001:db8::2'])
      sh(
        `ip -n ${evil} neigh replace ${address} lladdr $(ip -o link show evil | sed 's/.*ether //; s/ .*//') dev eth0`,
      )
    const netlink = openNetlink()
    underlay = await findUnderlay(netlink, {})
    netlink.close()
    routes = openRoutes({ log: recordingLogger(), checkMs: 600_000 })
  })
  afterEach(async () => {
    await routes.close()
    for (const name of [evil, victim, other]) sh(`ip netns del ${name}`)
    sh(
      `nft flush ruleset; for l in podwire.7 podwire-v6.7 eth0 evil victim other; do ip link del $l 2>/dev/null || true; done`,
    )
  })

  /** What came of it, by each way: to the pod here, and to the other node. */
  async function attempt() {
    const before = [seen(victim), seen(other)] as const
    for (const to of ['192.0.2.1', '192.0.2.2', '2001:db8::2']) say(to)
    // What is said later is looked at later.
    for (const to of ['10.244.1.3', '192.0.2.2', '2001:db8::2']) say(to, 9)
    await until(() => seen(victim)[1] > before[0][1] && seen(other)[1] > before[1][1] + 1)
    return [seen(victim)[0] - before[0][0], seen(other)[0] - before[1][0]]
  }

  test('speaks as no pod of another node, nor to other nodes as one of its own', async () => {
    await routes.apply(wantedFor(self, [peer], backend, underlay))
    expect(await attempt()).toEqual([0, 0])
    // The other node itself is heard.
    sh(`ip netns exec ${other} ${process.execPath} -e '
      const s = require("node:dgram").createSocket("udp4")
      s.send(Buffer.from("${vxlanOfPod().toString('hex')}", "hex"), 8472, "192.0.2.1", () => s.close())'`)
    await until(() => seen(victim)[0] === 1)
    // Fenced, its pods are still there.
    await routes.withdraw()
    expect(await attempt()).toEqual([0, 0])
    await routes.apply(wantedFor(self, [peer], backend, underlay))
    // What keeps it out is this.
    sh('nft delete table inet podwire-vxlan')
    expect(await attempt()).toEqual([1, 2])
    // It comes back, for another process, and by itself.
    await routes.close()
    routes = openRoutes({ log: recordingLogger(), checkMs: 300 })
    await routes.apply(wantedFor(self, [peer], backend, underlay))
    expect(await attempt()).toEqual([0, 0])
    sh('nft delete table inet podwire-vxlan')
    await until(() => sh('nft list tables').includes('podwire-vxlan'))
    expect(await attempt()).toEqual([0, 0])
  })

  test('speaks as none from an address of its link either', async () => {
    await routes.apply(wantedFor(self, [peer], backend, underlay))
    sh(`ip addr add 169.254.7.1/30 dev evil; ip -n ${evil} addr add 169.254.7.2/30 dev eth0
      ip addr add fe80::7:1/64 dev evil nodad; ip -n ${evil} addr add fe80::7:2/64 dev eth0 nodad`)
    const sayAs = (family: 4 | 6, from: string, to: string, port: number) => {
      const frame = vxlanOfPod()
      // Each family has a link of its own.
      Buffer.from(`${hex(vtepMacOf('a', 7, family))}${hex(vtepMacOf('b', 7, family))}`, 'hex').copy(frame, 8)
      sh(`ip netns exec ${evil} ${process.execPath} -e '
        const s = require("node:dgram").createSocket("udp${family}")
        s.bind(0, "${from}", () => s.send(Buffer.from("${frame.toString('hex')}", "hex"), ${port}, "${to}", () => s.close()))'`)
    }
    async function attemptOf() {
      const before = seen(victim)
      sayAs(4, '169.254.7.2', '169.254.7.1', 8472)
      sayAs(6, 'fe80::7:2%eth0', 'fe80::7:1%eth0', 8472)
      // What is said later is looked at later.
      say('10.244.1.3', 9)
      await until(() => seen(victim)[1] > before[1])
      return seen(victim)[0] - before[0]
    }
    expect(await attemptOf()).toBe(0)
    sh('nft delete table inet podwire-vxlan')
    expect(await attemptOf()).toBe(2)
  })

  test('is let to speak to that port where the network has no vxlan, or the node has left it', async () => {
    const isThere = () => sh('nft list tables').includes('podwire-vxlan')
    await routes.apply(wantedFor(self, [peer], backend, underlay))
    expect(isThere()).toBe(true)
    await routes.apply(wantedFor(self, [], { type: 'host-gw' }, underlay))
    expect(isThere()).toBe(false)
    await routes.apply(wantedFor(self, [peer], backend, underlay))
    await routes.withdraw({ leaves: true })
    expect(isThere()).toBe(false)
    await routes.apply(wantedFor(self, [peer], backend, underlay))
    await routes.close()
    expect(isThere()).toBe(true)
    await removeVxlanGuard(recordingLogger())
    await removeVxlanGuard(recordingLogger())
    expect(isThere()).toBe(false)
    routes = openRoutes({ log: recordingLogger() })
  })
})
