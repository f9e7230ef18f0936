import type { PortMapping } from '@podwire/api'
import { chains, type TableRef } from '@podwire/netlink/nftables'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Firewall, openFirewall } from '../src/firewall/firewall.ts'
import type { FirewallPlan } from '../src/firewall/layout.ts'
import { type PortElement, portElements } from '../src/firewall/port-elements.ts'
import { parseCidr } from '../src/ipam/cidr.ts'
import { parsePodCidrs } from '../src/ipam/network.ts'
import { describeIsolated, portsIn, run, useMachine } from './support/machine.ts'

const plan: FirewallPlan = {
  linkPrefix: 'pw',
  networks: parsePodCidrs('10.88.0.0/16,fd88::/64'),
  direct: [parseCidr('10.0.0.0/8')!],
  hairpin: true,
  connections: 1000,
  dropDuplicatesFrom: undefined,
}

const published = (hostPort: number, address: string, more: Partial<PortMapping> = {}) =>
  portElements({
    addresses: [{ address }],
    ports: [{ hostPort, containerPort: 80, protocol: 'tcp', ...more }],
  })

describeIsolated('the firewall', () => {
  // A network of its own for each file; the plugin itself is not started.
  useMachine()
  let ports: PortElement[] = []
  let firewall: Firewall
  beforeEach(() => {
    ports = []
    firewall = openFirewall(
      () => 'podwire',
      () => ports,
    )
  })
  afterEach(() => firewall.close())

  const lines = (...what: string[]) =>
    run('nft', ['list', ...what])
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && line !== '}')
  const rulesOf = (chain: string) =>
    lines('chain', 'inet', 'podwire', chain).filter((line) => !/^(table|chain|type) /.test(line))
  const elementsOf = (map: string) => portsIn(run('nft', ['-j', 'list', 'map', 'inet', 'podwire', map]))

  it('holds these rules for a plan', () => {
    firewall.apply(plan)
    expect(firewall.problem).toBeUndefined()
    const local4 = 'fib daddr type local dnat ip to'
    const local6 = 'ip6 daddr != ::1 fib daddr type local dnat ip6 to'
    const toPublished = [
      `${local4} ip daddr . meta l4proto . th dport map @address-ports4`,
      `${local4} meta l4proto . th dport map @ports4`,
      `${local6} ip6 daddr . meta l4proto . th dport map @address-ports6`,
      `${local6} meta l4proto . th dport map @ports6`,
    ]
    // nft leaves out a family that follows from the rest, and which versions do so differs.
    const toPodsIn = (chain: string) => rulesOf(chain).map((line) => line.replace('meta nfproto ipv4 ', ''))
    // What pods ask that are answered goes to the host's own resolver, before all else; some ask the host and other pods themselves.
    const toResolvers = ['tcp', 'udp'].map((protocol) => `${protocol} dport 53 jump resolving`)
    expect(toPodsIn('prerouting')).toEqual([...toResolvers, ...toPublished])
    const resolving = toPodsIn('resolving').map((line) =>
      line.includes('ip6 daddr') ? line.replace('meta nfproto ipv6 ', '') : line,
    )
    expect(resolving).toEqual(
      ['4', '6'].flatMap((family) => {
        const [ip, nfproto] = family === '4' ? ['ip', ''] : ['ip6', 'meta nfproto ipv6 ']
        return [
          `${nfproto}iifname @asking-host fib daddr type local return`,
          `iifname @asking-pods ${ip} daddr @pods${family} fib daddr type != local return`,
          `${nfproto}dnat ${ip} to iifname map @resolvers${family}`,
        ]
      }),
    )
    expect(toPodsIn('output')).toEqual(toPublished)
    expect(rulesOf('postrouting')).toEqual([
      'ip saddr @pods4 ip daddr @pods4 ct status dnat masquerade',
      'ip saddr @pods4 ip daddr != @direct4 fib daddr type unicast masquerade',
      'ip6 saddr @pods6 ip6 daddr @pods6 ct status dnat masquerade',
      'ip6 saddr @pods6 ip6 daddr != @direct6 fib daddr type unicast masquerade',
      'ip saddr 127.0.0.0/8 ip daddr @pods4 masquerade',
    ])
    expect(rulesOf('raw')).toEqual([
      'iifname != "lo" ip daddr 127.0.0.0/8 drop',
      'iifname "pw*" jump from-pods',
      'iifname != "pw*" ip saddr @pods4 fib saddr . iif oif 0 drop',
      'iifname != "pw*" ip6 saddr @pods6 fib saddr . iif oif 0 drop',
    ])
    expect(rulesOf('from-pods')).toEqual([
      'fib saddr . iif oif 0 drop',
      'ip saddr 0.0.0.0/8 drop',
      'icmpv6 type 133-137 drop',
      'udp sport 67 udp dport 68 drop',
      'udp sport 547 udp dport 546 drop',
    ])
    expect(lines('set', 'inet', 'podwire', 'pods6')).toContain('elements = { fd88::/64 }')
    expect(lines('set', 'inet', 'podwire', 'direct4')).toContain('elements = { 10.0.0.0/8 }')
  })

  it('keeps pods with links of their own from themselves where that is asked for', () => {
    firewall.apply({ ...plan, hairpin: false })
    expect(rulesOf('forward').slice(0, 1)).toEqual(['iifname "pw*" fib daddr . iif oif != 0 drop'])
    firewall.apply(plan)
    expect(run('nft', ['list', 'table', 'inet', 'podwire'])).not.toContain('fib daddr . iif')
  })

  it('masquerades nothing to the outside where all destinations see pods’ own addresses', () => {
    firewall.apply({ ...plan, direct: undefined })
    expect(rulesOf('postrouting').join('\n')).not.toContain('unicast')
  })

  it('drops what a promiscuous bridge delivers twice, and no more when it no longer is', () => {
    firewall.apply({
      ...plan,
      networks: parsePodCidrs('10.88.0.0/16'),
      dropDuplicatesFrom: '0a:58:0a:58:00:01',
    })
    expect(lines('table', 'bridge', 'podwire').slice(-2)).toEqual([
      'oifname "pw*" ether saddr 0a:58:0a:58:00:01 ip saddr 10.88.0.1 accept',
      'oifname "pw*" ether saddr 0a:58:0a:58:00:01 ip saddr 10.88.0.0/16 drop',
    ])
    firewall.apply(plan)
    expect(run('nft', ['list', 'tables'])).not.toContain('bridge')
  })

  it('publishes and withdraws ports, all of a change or none', async () => {
    firewall.apply(plan)
    const first = published(8080, '10.88.0.2')
    const onAddress = published(53, 'fd88::2', {
      hostIP: '2001:db8::1',
      protocol: 'udp',
      containerPort: 5353,
    })
    await firewall.change([...first, ...onAddress], [])
    expect(elementsOf('ports4')).toEqual([[{ concat: ['tcp', 8080] }, { concat: ['10.88.0.2', 80] }]])
    expect(elementsOf('address-ports6')).toEqual([
      [{ concat: ['2001:db8::1', 'udp', 53] }, { concat: ['fd88::2', 5353] }],
    ])
    expect(firewall.holds([...first, ...onAddress])).toBe(true)
    expect(firewall.compare(first)).toMatchObject({ missing: [], leftover: [{ map: 'address-ports6' }] })

    const taken = published(8080, '10.88.0.3')
    await expect(firewall.change([...published(8081, '10.88.0.3'), ...taken], [])).rejects.toThrow(
      /EEXIST|EBUSY/,
    )
    expect(elementsOf('ports4')).toHaveLength(1)

    // It leads to another pod, and stays.
    await firewall.change([], [...taken, ...onAddress])
    expect(elementsOf('ports4')).toHaveLength(1)
    expect(elementsOf('address-ports6')).toEqual([])
    await firewall.change(taken, first)
    expect(elementsOf('ports4')).toEqual([[{ concat: ['tcp', 8080] }, { concat: ['10.88.0.3', 80] }]])
  })

  it('fails only the change at fault of many at once', async () => {
    firewall.apply(plan)
    const outcomes = await Promise.allSettled([
      firewall.change(published(1, '10.88.0.2'), []),
      firewall.change(published(1, '10.88.0.3'), []),
      firewall.change(published(2, '10.88.0.3'), []),
    ])
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(elementsOf('ports4')).toHaveLength(2)
  })

  it.each([
    ['a flushed ruleset', () => run('nft', ['flush', 'ruleset'])],
    ['a deleted table', () => run('nft', ['delete', 'table', 'inet', 'podwire'])],
    ['a flushed chain', () => run('nft', ['flush', 'chain', 'inet', 'podwire', 'raw'])],
    ['a flushed map of ports', () => run('nft', ['flush', 'map', 'inet', 'podwire', 'ports4'])],
  ])('puts %s back with the ports of all pods, which somebody else’s rules don’t need', (_, damage) => {
    firewall.apply(plan)
    const before = lines('ruleset')
    ports = [
      ...published(8080, '10.88.0.2'),
      ...published(8080, '10.88.0.9'),
      ...published(8081, '10.88.0.3'),
    ]
    run('nft', ['add', 'table', 'inet', 'other'])
    expect(firewall.ensure()).toBe(true)
    damage()
    expect(firewall.ensure()).toBe(false)
    expect(elementsOf('ports4')).toHaveLength(2)
    expect(firewall.ensure()).toBe(true)
    ports = []
    damage()
    firewall.ensure()
    const after = lines('ruleset').filter((line) => line !== 'table inet other {')
    expect(after.toSorted()).toEqual(before.toSorted())
  })

  it('puts the rules back in the middle of a change', async () => {
    firewall.apply(plan)
    const own = published(8080, '10.88.0.2')
    run('nft', ['flush', 'ruleset'])
    await firewall.change(own, [])
    expect(firewall.holds(own)).toBe(true)
    expect(rulesOf('raw')).toHaveLength(4)
  })

  it('leaves the rules of others alone', async () => {
    run('nft', ['add', 'table', 'inet', 'theirs'])
    run('nft', [
      'add',
      'chain',
      'inet',
      'theirs',
      'c',
      '{ type filter hook input priority 0 ; policy accept ; }',
    ])
    run('nft', ['add', 'rule', 'inet', 'theirs', 'c', 'tcp', 'dport', '22', 'accept'])
    const before = lines('table', 'inet', 'theirs')
    firewall.apply(plan)
    await firewall.change(published(8080, '10.88.0.2'), [])
    run('nft', ['delete', 'table', 'inet', 'podwire'])
    firewall.ensure()
    firewall.apply({ ...plan, direct: undefined })
    expect(lines('table', 'inet', 'theirs')).toEqual(before)
  })

  it('leaves tables as they are that another process made while it looked what to publish', () => {
    let isFirst = true
    const late = openFirewall(
      () => 'podwire',
      () => {
        if (isFirst) {
          firewall.apply(plan)
          run('nft', ['add element inet podwire ports4 { tcp . 8080 : 10.88.0.2 . 80 }'])
        }
        isFirst = false
        return []
      },
    )
    late.apply(plan)
    expect(isFirst).toBe(false)
    expect(elementsOf('ports4')).toHaveLength(1)
    late.close()
  })

  describe('puts no port back that another process withdraws', () => {
    const root = new URL('../../..', import.meta.url).pathname
    const script = new URL('./support/withdraw.ts', import.meta.url).pathname
    /** As another process does, which has made nothing. */
    const withdraw = (address: string, ...hostPorts: number[]) =>
      run(process.execPath, [
        ...['--import', `${root}.dev/run-source.mjs`, script],
        ...['podwire', address, ...hostPorts.map(String)],
      ])

    it.each([
      ['deletes the tables', ['delete', 'table', 'inet', 'podwire']],
      ['flushes a map', ['flush', 'map', 'inet', 'podwire', 'ports4']],
    ])('after it has read what to publish, where somebody %s', async (_, damage) => {
      const own = [...published(8080, '10.88.0.2'), ...published(8081, '10.88.0.2')]
      let reads = 0
      const rebuilding = openFirewall(
        () => 'podwire',
        () => {
          if (reads++ > 0) return []
          withdraw('10.88.0.2', 8080, 8081)
          return own
        },
      )
      firewall.apply(plan)
      await firewall.change(own, [])
      rebuilding.apply(plan)
      run('nft', damage)
      expect(rebuilding.ensure()).toBe(false)
      expect(elementsOf('ports4')).toEqual([])
      expect(reads).toBe(2)
      rebuilding.close()
    })

    it('while that one looks which of them are there', async () => {
      const own = [...published(8080, '10.88.0.2'), ...published(8081, '10.88.0.2')]
      // What it read before the withdrawal began.
      const rebuilding = openFirewall(
        () => 'podwire',
        () => own,
      )
      rebuilding.apply(plan)
      // The second port is there when it is looked for; the first was not yet.
      let looks = 0
      const withdrawing = openFirewall(
        () => {
          if (++looks === 2) rebuilding.ensure()
          return 'podwire'
        },
        () => [],
      )
      looks = 2
      withdrawing.apply(plan)
      run('nft', ['delete', 'table', 'inet', 'podwire'])
      looks = 0
      await withdrawing.change([], own)
      expect(looks).toBeGreaterThan(2)
      expect(elementsOf('ports4')).toEqual([])
      withdrawing.close()
      rebuilding.close()
    })

    it('between the look at what is missing and its change', async () => {
      const own = published(8080, '10.88.0.2')
      firewall.apply(plan)
      let looks = 0
      firewall.restore(() => {
        if (looks++ > 0) return []
        withdraw('10.88.0.2', 8080)
        return own
      })
      expect(elementsOf('ports4')).toEqual([])
      firewall.restore(() => own)
      expect(elementsOf('ports4')).toHaveLength(1)
    })
  })

  describe('when others change rules all the time', () => {
    const mark = () => firewall.ask(chains.list).some(({ chain }) => chain === 'marked')
    /** Steps that somebody gets in the way of, so often. */
    function disturbed(times: number) {
      let looks = 0
      return (table: TableRef) => {
        if (looks++ < times) run('nft', ['add', 'table', 'ip', `other-${looks}`])
        return [chains.add({ ...table, chain: 'marked' })]
      }
    }

    it('begins a transaction anew until they leave it a moment', () => {
      firewall.apply(plan)
      firewall.transact(disturbed(30))
      expect(mark()).toBe(true)
    })

    it('gives it up in the end, and says why', () => {
      firewall.apply(plan)
      expect(() => firewall.transact(disturbed(Number.POSITIVE_INFINITY))).toThrow(
        /^other processes changed firewall rules all the time: a change was begun \d+ times in \d\.\d s/,
      )
      expect(mark()).toBe(false)
    })
  })

  it('goes on with tables that an earlier process made for the same plan', async () => {
    firewall.apply(plan)
    await firewall.change(published(8080, '10.88.0.2'), [])
    const next = openFirewall(
      () => 'podwire',
      () => [],
    )
    next.apply(plan)
    expect(next.compare([]).leftover).toHaveLength(1)
    next.close()
  })
})
