import { afterEach, beforeEach, expect, it } from 'vitest'
import { NETLINK_NETFILTER, type Netlink, openNetlink } from '../../src/index.ts'
import * as nft from '../../src/nftables/index.ts'
import { be16, encodeIp, u8, u32 } from '../../src/transport.ts'
import { describeIsolated, useSandbox } from '../sandbox.ts'

const t = { family: 'inet', table: 't' } as const
const commit = (netlink: Netlink, ...steps: Parameters<typeof nft.transaction>[0]) =>
  netlink.batchSync(nft.transaction(steps))

describeIsolated('nf_tables', () => {
  const box = useSandbox()
  let netlink: Netlink
  beforeEach(() => {
    netlink = openNetlink({ netns: box.path, protocol: NETLINK_NETFILTER })
  })
  afterEach(() => netlink.close())

  // What nft shows, by kind: { table: [...], chain: [...] }.
  function shown() {
    const found: Record<string, Record<string, unknown>[]> = {}
    for (const entry of box.json('nft -j list ruleset').nftables)
      for (const [kind, value] of Object.entries(entry)) {
        found[kind] ??= []
        found[kind].push(value as Record<string, unknown>)
      }
    return found
  }
  const text = () => box.run('nft list ruleset')

  it('tables and chains of all families are what nft shows, and are read back', () => {
    box.run('ip link add name a type veth peer name b')
    const base = (hook: nft.Hook, more: Partial<nft.BaseChain> = {}): nft.NewChain => ({
      base: { type: 'filter', hook, priority: 0, ...more },
    })
    const tables = (['inet', 'ip', 'ip6', 'bridge', 'netdev'] as const).map((family) => ({
      family,
      table: 't',
    }))
    commit(
      netlink,
      tables.map((table) => nft.tables.add(table, { comment: `of ${table.family}` })),
      nft.chains.add({ ...t, chain: 'in' }, base('input', { policy: 'drop', priority: 10 })),
      nft.chains.add({ ...t, chain: 'plain' }, { comment: 'others jump here' }),
      nft.chains.add(
        { family: 'ip', table: 't', chain: 'pre' },
        base('prerouting', { priority: nft.priorities.raw }),
      ),
      nft.chains.add(
        { family: 'ip6', table: 't', chain: 'nat' },
        base('postrouting', { type: 'nat', priority: nft.priorities.srcnat }),
      ),
      nft.chains.add({ family: 'bridge', table: 't', chain: 'fwd' }, base('forward', { priority: -200 })),
      nft.chains.add({ family: 'netdev', table: 't', chain: 'from-a' }, base('ingress', { devices: ['a'] })),
      nft.chains.add(
        { family: 'netdev', table: 't', chain: 'both' },
        base('ingress', { devices: ['a', 'b'], priority: 5 }),
      ),
    )
    expect(shown()['table']).toMatchObject(tables.map(({ family }) => ({ family, name: 't' })))
    for (const { family } of tables) expect(text()).toContain(`table ${family} t {\n\tcomment "of ${family}"`)
    expect(shown()['chain']).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          family: 'inet',
          name: 'in',
          type: 'filter',
          hook: 'input',
          prio: 10,
          policy: 'drop',
        }),
        expect.objectContaining({ family: 'inet', name: 'plain' }),
        expect.objectContaining({ family: 'ip', hook: 'prerouting', prio: -300, policy: 'accept' }),
        expect.objectContaining({ family: 'ip6', type: 'nat', hook: 'postrouting', prio: 100 }),
        expect.objectContaining({ family: 'bridge', hook: 'forward', prio: -200 }),
        expect.objectContaining({ family: 'netdev', name: 'from-a', hook: 'ingress' }),
      ]),
    )
    // Comments of tables and chains, and devices, are in nft's text alone.
    expect(text()).toContain('comment "others jump here"')
    expect(text()).toMatch(/type filter hook ingress device "a" priority (0|filter)/)
    expect(text()).toMatch(/type filter hook ingress devices = \{ a, b \} priority (filter \+ )?5/)
    expect(netlink.runSync(nft.tables.list()).map(({ family, comment }) => [family, comment])).toEqual(
      tables.map(({ family }) => [family, `of ${family}`]),
    )
    expect(netlink.runSync(nft.chains.list(t))).toMatchObject([
      { chain: 'in', base: { type: 'filter', hook: 'input', priority: 10, policy: 'drop' } },
      { chain: 'plain', comment: 'others jump here' },
    ])
    expect(netlink.runSync(nft.chains.list({ family: 'netdev', table: 't' }))).toMatchObject([
      { base: { hook: 'ingress', devices: ['a'] } },
      { base: { hook: 'ingress', devices: ['a', 'b'], priority: 5 } },
    ])
    commit(
      netlink,
      nft.chains.del({ ...t, chain: 'plain' }),
      tables.slice(1).map((table) => nft.tables.del(table)),
    )
    expect(netlink.runSync(nft.tables.list())).toMatchObject([{ family: 'inet', table: 't', flags: [] }])
    expect(netlink.runSync(nft.chains.list(t))).toHaveLength(1)
  })

  it('sets, maps and their elements are what nft shows, and are read back, deleted and flushed', () => {
    const set = (name: string) => ({ ...t, set: name })
    const key = nft.concatenate(encodeIp('10.0.0.1'), be16(443))
    commit(
      netlink,
      nft.tables.add(t),
      nft.chains.add({ ...t, chain: 'c' }),
      nft.sets.add(set('addresses'), { key: 'ipv4_addr', comment: 'some addresses' }),
      nft.sets.add(set('nets'), { key: 'ipv6_addr', interval: true }),
      nft.sets.add(set('allowed'), { key: ['ipv4_addr', 'inet_service'], timeout: 0, each: [nft.counter] }),
      nft.sets.add(set('ranges'), { key: ['ipv4_addr', 'inet_service'], interval: true }),
      nft.sets.add(set('ports'), {
        key: ['inet_proto', 'inet_service'],
        value: ['ipv4_addr', 'inet_service'],
      }),
      nft.sets.add(set('by-link'), { key: 'ifname', value: 'verdict' }),
      nft.sets.add(set('seen'), { key: 'ipv4_addr', dynamic: true, size: 1000, timeout: 60_000 }),
      nft.elements.add(set('addresses'), [
        { key: encodeIp('10.0.0.1'), comment: 'the first' },
        { key: encodeIp('10.0.0.2') },
      ]),
      nft.elements.add(set('nets'), [
        ...nft.elements.range(encodeIp('fd00::'), encodeIp('fd00::ff')),
        ...nft.elements.range(encodeIp('ffff::'), encodeIp('ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff')),
      ]),
      nft.elements.add(set('allowed'), [{ key, timeout: 3_600_000 }]),
      nft.elements.add(set('ranges'), [
        {
          key: nft.concatenate(encodeIp('10.0.0.0'), be16(1000)),
          keyEnd: nft.concatenate(encodeIp('10.0.0.255'), be16(2000)),
        },
      ]),
      nft.elements.add(set('ports'), [
        {
          key: nft.concatenate(u8(6), be16(8080)),
          value: nft.concatenate(encodeIp('10.88.0.2'), be16(80)),
        },
      ]),
      nft.elements.add(set('by-link'), [
        { key: nft.linkName('eth0'), value: { goto: 'c' } },
        { key: nft.linkName('eth1'), value: 'drop' },
      ]),
    )
    const sets = Object.fromEntries(shown()['set']!.map((one) => [one['name'], one]))
    expect(sets['addresses']).toMatchObject({
      type: 'ipv4_addr',
      comment: 'some addresses',
      elem: [{ elem: { val: '10.0.0.1', comment: 'the first' } }, '10.0.0.2'],
    })
    expect(sets['nets']).toMatchObject({
      type: 'ipv6_addr',
      flags: ['interval'],
      elem: [{ prefix: { addr: 'fd00::', len: 120 } }, { prefix: { addr: 'ffff::', len: 16 } }],
    })
    expect(sets['allowed']).toMatchObject({
      type: ['ipv4_addr', 'inet_service'],
      flags: ['timeout'],
      elem: [
        { elem: { val: { concat: ['10.0.0.1', 443] }, timeout: 3600, counter: { packets: 0, bytes: 0 } } },
      ],
    })
    expect(sets['ranges']).toMatchObject({
      elem: [{ concat: [{ prefix: { addr: '10.0.0.0', len: 24 } }, { range: [1000, 2000] }] }],
    })
    expect(sets['seen']).toMatchObject({ size: 1000, timeout: 60 })
    const maps = Object.fromEntries(shown()['map']!.map((one) => [one['name'], one]))
    expect(maps['ports']).toMatchObject({
      type: ['inet_proto', 'inet_service'],
      map: 'ipv4_addr . inet_service',
      elem: [[{ concat: ['tcp', 8080] }, { concat: ['10.88.0.2', 80] }]],
    })
    expect(maps['by-link']).toMatchObject({
      map: 'verdict',
      elem: expect.arrayContaining([
        ['eth0', { goto: { target: 'c' } }],
        ['eth1', { drop: null }],
      ]),
    })

    const list = (name: string) => netlink.runSync(nft.elements.list(set(name)))
    for (const name of ['addresses', 'allowed', 'ports', 'by-link'])
      expect(netlink.runSync(nft.elements.keys(set(name)))).toEqual(list(name).map(({ key }) => key))
    expect(netlink.runSync(nft.sets.list(t))).toMatchObject([
      { set: 'addresses', key: 'ipv4_addr', comment: 'some addresses', interval: false, dynamic: false },
      { set: 'nets', key: 'ipv6_addr', interval: true },
      { set: 'allowed', key: ['ipv4_addr', 'inet_service'], timeout: 0, each: [{ counter: { packets: 0 } }] },
      { set: 'ranges', interval: true },
      { set: 'ports', key: ['inet_proto', 'inet_service'], value: ['ipv4_addr', 'inet_service'] },
      { set: 'by-link', key: 'ifname', value: 'verdict' },
      { set: 'seen', dynamic: true, size: 1000, timeout: 60_000 },
    ])
    expect(list('addresses')).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ key: encodeIp('10.0.0.1'), comment: 'the first' }),
        { key: encodeIp('10.0.0.2') },
      ]),
    )
    const [allowed] = list('allowed')
    expect(allowed).toMatchObject({ key, timeout: 3_600_000, each: [{ counter: { packets: 0, bytes: 0 } }] })
    expect(allowed!.expiration).toBeGreaterThan(3_500_000)
    expect(list('ranges')).toMatchObject([{ keyEnd: nft.concatenate(encodeIp('10.0.0.255'), be16(2000)) }])
    expect(list('by-link')).toEqual(
      expect.arrayContaining([{ key: nft.linkName('eth0'), value: { goto: 'c' } }]),
    )
    expect(netlink.runSync(nft.elements.get(set('ports'), nft.concatenate(u8(6), be16(8080)))).value).toEqual(
      nft.concatenate(encodeIp('10.88.0.2'), be16(80)),
    )
    commit(
      netlink,
      nft.elements.del(set('addresses'), [{ key: encodeIp('10.0.0.1') }]),
      nft.elements.flush(set('ranges')),
      nft.sets.del(set('by-link')),
    )
    expect(list('addresses')).toEqual([{ key: encodeIp('10.0.0.2') }])
    expect(list('ranges')).toEqual([])
    expect(() => list('by-link')).toThrow(expect.objectContaining({ code: 'ENOENT' }))
  })

  it('rules are what nft shows', () => {
    const chain = { ...t, chain: 'c' }
    const nat = { ...t, chain: 'nat' }
    const rule = (...expressions: nft.Expressions) => nft.rules.add(chain, expressions)
    commit(
      netlink,
      nft.tables.add(t),
      nft.chains.add({ ...t, chain: 'other' }),
      nft.chains.add(chain, { base: { type: 'filter', hook: 'prerouting', priority: 0 } }),
      nft.chains.add(nat, { base: { type: 'nat', hook: 'postrouting', priority: 100 } }),
      nft.chains.add({ ...t, chain: 'dnat' }, { base: { type: 'nat', hook: 'prerouting', priority: -100 } }),
      nft.sets.add({ ...t, set: 's' }, { key: 'ipv4_addr' }),
      nft.sets.add({ ...t, set: 'seen' }, { key: 'ipv4_addr', dynamic: true, timeout: 1000, size: 10 }),
      nft.sets.add({ ...t, set: 'v' }, { key: 'ifname', value: 'verdict' }),
      nft.rules.add(chain, [nft.meta('iifname'), nft.equals(nft.linkName('eth0')), nft.counter, nft.accept], {
        comment: 'ours',
      }),
      rule(nft.meta('iifname'), nft.equals(Buffer.from('pw')), nft.drop),
      rule(nft.meta('nfproto'), nft.equals(u8(2)), nft.payload(nft.header.ip.saddr), nft.isIn('s'), nft.drop),
      rule(
        nft.meta('nfproto'),
        nft.equals(u8(2)),
        nft.payload(nft.header.ip.daddr),
        nft.isNotIn('s'),
        nft.verdict('return'),
      ),
      rule(
        nft.meta('l4proto'),
        nft.equals(u8(6)),
        nft.payload(nft.header.th.dport),
        nft.between(be16(80), be16(90)),
        nft.reject('tcp reset'),
      ),
      rule(nft.ct('state'), nft.mask(u32(6)), nft.differs(u32(0)), nft.verdict({ jump: 'other' })),
      rule(nft.fib('oif', ['saddr', 'iif']), nft.equals(u32(0)), nft.drop),
      rule(nft.limit({ rate: 10, per: 1, burst: 20 }), nft.log({ group: 7, prefix: 'denied ', length: 96 })),
      rule(nft.limit({ rate: 100, per: 60, over: true }), nft.reject()),
      rule(
        nft.meta('nfproto'),
        nft.equals(u8(2)),
        nft.payload(nft.header.ip.saddr),
        nft.updateSet('seen', { timeout: 5000, each: [nft.limit({ rate: 3 })] }),
      ),
      rule(nft.meta('iifname'), nft.verdictOf('v')),
      nft.rules.insert(chain, [nft.notrack], { comment: 'first' }),
      nft.rules.add(nat, [nft.meta('oifname'), nft.equals(nft.linkName('up0')), nft.masquerade]),
      nft.rules.add(nat, [
        nft.load(encodeIp('192.0.2.9')),
        nft.meta('nfproto', 1),
        nft.equals(u8(2), 1),
        nft.snat('ip', 0),
      ]),
      nft.rules.add({ ...t, chain: 'dnat' }, [
        nft.load(encodeIp('10.0.0.9')),
        nft.load(be16(80), 1),
        nft.meta('nfproto', 2),
        nft.equals(u8(2), 2),
        nft.dnat('ip', 0, 1),
      ]),
    )
    const lines = text()
      .split('\n')
      .map((line) => line.trim())
    for (const line of [
      'notrack comment "first"',
      'iifname "eth0" counter packets 0 bytes 0 accept comment "ours"',
      'iifname "pw*" drop',
      'ip saddr @s drop',
      'ip daddr != @s return',
      'tcp dport 80-90 reject with tcp reset',
      'ct state established,related jump other',
      'fib saddr . iif oif 0 drop',
      'limit rate 10/second burst 20 packets log prefix "denied " group 7 snaplen 96',
      'limit rate over 100/minute reject',
      'update @seen { ip saddr timeout 5s limit rate 3/second }',
      'iifname vmap @v',
      'oifname "up0" masquerade',
      'meta nfproto ipv4 snat ip to 192.0.2.9',
      'meta nfproto ipv4 dnat ip to 10.0.0.9:80',
    ])
      expect(lines).toContain(line)
  })

  it('reads rules that nft made, and writes them back as they were', () => {
    box.run('nft add table inet t')
    box.run('nft add chain inet t c { type filter hook input priority 0 ; }')
    const made = [
      'tcp dport { 22, 80 } ct state new limit rate 5/second accept',
      'ip saddr 10.0.0.0/8 log prefix "x" level warn drop',
      'meta mark set 0x7',
      'quota 10 mbytes accept',
      'iifname "eth0" counter return',
    ]
    for (const rule of made) box.run(`nft add rule inet t c ${rule}`)
    const rules = netlink.runSync(nft.rules.list(t))
    expect(rules).toHaveLength(made.length)
    expect(rules[1]!.expressions).toMatchObject([
      { meta: { key: 'nfproto', register: 0 } },
      { cmp: { op: '==', value: Buffer.of(2) } },
      { payload: { base: 'network', offset: 12, length: 1 } },
      { cmp: { value: Buffer.of(10) } },
      { log: { prefix: 'x', level: 4 } },
      { immediate: { register: 'verdict', value: 'drop' } },
    ])
    expect(rules[3]!.expressions[0]).toMatchObject({ other: { name: 'quota' } })
    const before = text()
    // A set without a name belongs to its rule.
    commit(
      netlink,
      rules.slice(1).map((rule) => nft.rules.replace(rule, rule.expressions)),
    )
    expect(text()).toBe(before)
  })

  it('places, replaces and deletes rules, and flushes a chain', () => {
    const chain = { ...t, chain: 'c' }
    const counted = (comment: string) => [[nft.counter], { comment }] as const
    const comments = () => netlink.runSync(nft.rules.list(chain)).map(({ comment }) => comment)
    commit(netlink, nft.tables.add(t), nft.chains.add(chain), nft.rules.add(chain, ...counted('b')))
    const [b] = netlink.runSync(nft.rules.list(chain))
    commit(
      netlink,
      nft.rules.add(chain, [nft.counter], { comment: 'c', beside: b!.handle }),
      nft.rules.insert(chain, [nft.counter], { comment: 'a', beside: b!.handle }),
      nft.rules.add(chain, ...counted('d')),
    )
    expect(comments()).toEqual(['a', 'b', 'c', 'd'])
    commit(netlink, nft.rules.replace(b!, ...counted('B')), nft.chains.add({ ...t, chain: 'other' }))
    expect(comments()).toEqual(['a', 'B', 'c', 'd'])
    const [a] = netlink.runSync(nft.rules.list(chain))
    commit(netlink, nft.rules.del(a!))
    expect(comments()).toEqual(['B', 'c', 'd'])
    expect(netlink.runSync(nft.rules.count(t))).toBe(3)
    commit(netlink, nft.rules.del(chain))
    expect(comments()).toEqual([])
  })

  it('changes nothing where one step is refused, and names it', async () => {
    commit(netlink, nft.tables.add(t))
    const before = text()
    const bad = [
      nft.chains.add({ ...t, chain: 'c' }),
      nft.tables.create(t),
      nft.sets.add({ ...t, set: 's' }, { key: 'mark' }),
    ]
    const refusal = { code: 'EEXIST', details: expect.objectContaining({ operation: 'create table inet t' }) }
    expect(() => commit(netlink, ...bad)).toThrow(expect.objectContaining(refusal))
    await expect(netlink.batch(nft.transaction(bad))).rejects.toMatchObject(refusal)
    expect(text()).toBe(before)
    expect(nft.transaction([])).toEqual([])
  })

  it('refuses a transaction for a ruleset that changed meanwhile', () => {
    const now = netlink.runSync(nft.generation())
    netlink.batchSync(nft.transaction([nft.tables.add(t)], { generation: now }))
    expect(netlink.runSync(nft.generation())).toBe(nft.generationAfter(now))
    const late = nft.transaction([nft.chains.add({ ...t, chain: 'c' })], { generation: now })
    expect(() => netlink.batchSync(late)).toThrow(
      expect.objectContaining({ code: 'ERESTART', message: expect.stringContaining('read it again') }),
    )
    expect(netlink.runSync(nft.chains.list(t))).toEqual([])
  })

  it('says of a transaction whether it makes the generation another one', () => {
    const set = { ...t, set: 's' }
    const key = encodeIp('10.0.0.1')
    commit(netlink, nft.tables.add(t), nft.sets.add(set, { key: 'ipv4_addr' }))
    const generationOf = (...steps: Parameters<typeof nft.isAlwaysChange>[0]) => {
      const before = netlink.runSync(nft.generation())
      netlink.batchSync(nft.transaction(steps, { generation: before }))
      return netlink.runSync(nft.generation()) === before ? 'the same' : 'another'
    }
    const adding = nft.elements.add(set, [{ key }])
    const creating = nft.elements.create(set, [{ key: encodeIp('10.0.0.2') }])
    expect([nft.isAlwaysChange([adding]), nft.isAlwaysChange([adding, creating])]).toEqual([false, true])
    expect(generationOf(adding)).toBe('another')
    expect(generationOf(adding)).toBe('the same')
    expect(generationOf(adding, creating)).toBe('another')
  })

  it('adds ten thousand elements as a whole, and creates none that is there', () => {
    const set = { ...t, set: 's' }
    const keys = Array.from({ length: 10_000 }, (_, index) => ({
      key: Buffer.of(10, 0, index >> 8, index & 0xff),
    }))
    commit(netlink, nft.tables.add(t), nft.sets.add(set, { key: 'ipv4_addr' }), nft.elements.add(set, keys))
    expect(netlink.runSync(nft.elements.list(set))).toHaveLength(10_000)
    const more = [{ key: encodeIp('192.0.2.1') }, keys[0]!]
    commit(netlink, nft.elements.add(set, more))
    expect(() => commit(netlink, nft.elements.create(set, more))).toThrow(
      expect.objectContaining({ code: 'EEXIST' }),
    )
    expect(netlink.runSync(nft.elements.list(set))).toHaveLength(10_001)
  })

  it('losses are told of, of whichever table, whoever is at fault', async () => {
    const other = { family: 'ip', table: 'other' } as const
    const chain = { ...t, chain: 'c' }
    commit(netlink, nft.tables.add(t), nft.tables.add(other), nft.chains.add(chain))
    commit(netlink, nft.rules.add(chain, [nft.drop]))
    const told: unknown[] = []
    const watch = nft.watchLosses(netlink, (tables) => told.push(...(tables ?? [undefined])))
    commit(netlink, nft.rules.add(chain, [nft.accept]))
    box.run('nft flush chain inet t c')
    await expect.poll(() => told).toContainEqual(t)
    expect(told).not.toContainEqual(other)
    told.length = 0
    commit(netlink, nft.tables.del(other))
    await expect.poll(() => told).toContainEqual(other)
    watch.stop()
    told.length = 0
    box.run('nft flush ruleset')
    await new Promise((resolve) => setImmediate(resolve))
    expect(told).toEqual([])
  })

  it('losses are told of after more of them than could be told, too', async () => {
    const set = { ...t, set: 's' }
    commit(netlink, nft.tables.add(t), nft.sets.add(set, { key: 'ipv4_addr' }))
    const told: unknown[] = []
    const watch = nft.watchLosses(netlink, (tables) => told.push(...(tables ?? [undefined])))
    const keys = Array.from({ length: 10_000 }, (_, index) => ({
      key: Buffer.of(10, 0, index >> 8, index & 0xff),
    }))
    // The event loop, which would hear of it, is not back before this is over.
    for (let round = 0; round < 20; round++)
      commit(netlink, nft.elements.add(set, keys), nft.elements.del(set, keys))
    await expect.poll(() => told).toContain(undefined)
    await expect
      .poll(() => {
        told.length = 0
        commit(netlink, nft.elements.add(set, keys.slice(0, 1)), nft.elements.del(set, keys.slice(0, 1)))
        return new Promise((resolve) => setImmediate(() => setImmediate(() => resolve(told[0]))))
      })
      .toEqual(t)
    watch.stop()
  })
})
