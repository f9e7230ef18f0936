import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Capability, hasCapabilities } from '@podwire/api'
import { links, openNetlink, removeNetns, writeSysctl } from '@podwire/netlink'
import { expect, it } from 'vitest'
import { describeDatapaths, never, nothing, run, useMachine } from './support/machine.ts'

const port = (hostPort: number, more: object = {}) => ({
  hostPort,
  containerPort: 80,
  protocol: 'tcp' as const,
  ...more,
})

describeDatapaths('kubenet (%s)', (datapath) => {
  const machine = useMachine(datapath)
  const inside = (id: string, ...command: string[]) =>
    run('nsenter', [`--net=${machine.netnsOf(id)}`, ...command])
  const ipsOf = async (id: string) =>
    (await machine.plugin.getPodNetworkStatus({ namespace: 'test', name: id, sandboxId: id }, never()))?.ips
  const rejection = (work: Promise<unknown>) =>
    work.then(
      () => undefined,
      (error) => error,
    )

  it('refuses pods, and says why, until there is a pod CIDR that can be used', async () => {
    await expect(machine.start({ podCIDR: '10.88.0.0/31' })).rejects.toMatchObject({
      code: 'INVALID_POD_CIDR',
    })
    const { plugin } = machine
    await expect(plugin.status()).rejects.toThrow(/no room for a gateway/)
    await expect(machine.pod('a')).rejects.toMatchObject({ code: 'INVALID_POD_CIDR' })
    await plugin.event('pod-cidr-change', { 'pod-cidr': '10.88.0.0/30' })
    await plugin.status()
    expect(await machine.pod('a')).toMatchObject({ ip: '10.88.0.2' })
  })

  it('keeps its pod CIDR when it is told what is none', async () => {
    const plugin = await machine.start()
    for (const nonsense of ['nonsense', '', '10.88.0.0/33']) {
      const event = plugin.event('pod-cidr-change', { 'pod-cidr': nonsense })
      await expect(event).rejects.toMatchObject({ code: 'INVALID_POD_CIDR' })
    }
    await plugin.status()
    expect(await machine.pod('a')).toMatchObject({ ip: '10.88.0.2' })
  })

  it('sets a pod up twice as once, changes its ports, and takes it down twice as once', async () => {
    await machine.start()
    const first = await machine.pod('a', { portMappings: [port(8080)] })
    const before = machine.traces()
    expect(await machine.again('a', { portMappings: [port(8080)] })).toEqual(first)
    expect(machine.traces()).toEqual(before)
    await machine.again('a', { portMappings: [port(8081), port(8082)] })
    const ports = run('nft', ['list', 'map', 'inet', machine.table, 'ports4'])
    expect(ports).toContain('8081')
    expect(ports).not.toContain('8080 :')
    await machine.remove('a')
    await machine.remove('a')
    expect(machine.traces()).toEqual(nothing)
  })

  it('takes a pod down whose namespace is gone, and one that it never saw', async () => {
    await machine.start()
    await machine.pod('a', { portMappings: [port(8080)] })
    removeNetns(machine.netnsOf('a'))
    await machine.remove('a')
    await machine.remove('never-seen')
    expect(machine.traces()).toEqual(nothing)
  })

  it('gives a pod the MTU it is told, else the smallest of the host', async () => {
    const mtuIn = (id: string) => Number(/mtu (\d+)/.exec(inside(id, 'ip', 'link', 'show', 'eth0'))?.[1])
    await machine.start({ mtu: 0 })
    await machine.pod('alone')
    expect(mtuIn('alone')).toBe(1460)
    await machine.outside()
    run('ip', ['link', 'set', 'up0', 'mtu', '1400'])
    await machine.start({ mtu: 0 })
    await machine.pod('beside')
    expect(mtuIn('beside')).toBe(1400)
    await machine.start({ mtu: 9000 })
    await machine.pod('told')
    expect(mtuIn('told')).toBe(9000)
  })

  it('gives new pods addresses of a new pod CIDR, and old ones keep theirs', async () => {
    const plugin = await machine.start({ podCIDR: '10.88.0.0/24' })
    await machine.pod('old')
    await plugin.event('pod-cidr-change', { 'pod-cidr': '10.99.1.0/24' })
    expect((await machine.pod('new')).ip).toBe('10.99.1.2')
    expect(await ipsOf('old')).toEqual(['10.88.0.2'])
    const [inOld, inNew] = await Promise.all([machine.peer('old'), machine.peer('new')])
    await inNew.serve('tcp', 80, 'new')
    expect(await inOld.ask('tcp', '10.99.1.2', 80)).toBe('new 10.88.0.2')
    await machine.again('old', { portMappings: [port(8080)] })
    await inOld.serve('tcp', 80, 'old')
    expect(await (await machine.peer()).ask('tcp', '127.0.0.1', 8080)).toMatch(/^old /)
  })

  it('gives a /24 to 250 pods and refuses the next one with how many there are and whose', async () => {
    await machine.start({
      podCIDR: '10.88.0.0/24',
      options: { exclude: [{ family: 4, first: 0x0a5800fcn, last: 0x0a5800ffn }] },
    })
    for (let index = 0; index < 250; index++) await machine.pod(`p${index}`)
    const error = await rejection(machine.pod('late'))
    expect(error).toMatchObject({ code: 'ADDRESSES_EXHAUSTED', details: { inUse: 250 } })
    expect(String(error)).toMatch(/250 are in use, by test\/p/)
    expect(machine.traces()).toMatchObject({
      pods: { length: 250 },
      addresses: { length: 250 },
      links: { length: 250 },
    })
    await machine.remove('p7')
    expect((await machine.pod('late')).ip).toBe('10.88.0.9')
  })

  it('sets 64 pods up at once, each with addresses of its own', async () => {
    await machine.start()
    const ids = Array.from({ length: 64 }, (_, index) => `p${index}`)
    const statuses = await Promise.all(
      ids.map((id, index) => machine.pod(id, { portMappings: [port(9000 + index)] })),
    )
    expect(new Set(statuses.flatMap(({ ips }) => ips)).size).toBe(128)
    expect(machine.traces()).toMatchObject({ elements: 128, addresses: { length: 128 } })
    await Promise.all(ids.map(machine.remove))
    expect(machine.traces()).toEqual(nothing)
  })

  it('forwards for a pod from the moment that it is set up', async () => {
    await machine.start()
    using netlink = openNetlink()
    for (let index = 0; index < 40; index++) {
      await machine.pod(`p${index}`)
      // A list, other than a question for one link, does not make the kernel see to it.
      const ports = netlink.runSync(links.list()).filter(({ name }) => name.startsWith('pw'))
      expect(ports.filter(({ running }) => !running)).toEqual([])
    }
  })

  it('refuses an MTU that IPv6 can not do with', async () => {
    await expect(machine.start({ mtu: 1200 })).rejects.toMatchObject({ code: 'MTU_TOO_SMALL' })
    await machine.start({ mtu: 1200, podCIDR: '10.88.0.0/16' })
    await machine.pod('a', {
      annotations: { 'kubernetes.io/ingress-bandwidth': '10M', 'kubernetes.io/egress-bandwidth': '10M' },
    })
    expect(inside('a', 'ip', 'link', 'show', 'eth0')).toContain('mtu 1200')
  })

  it('takes down what was set up by half', async () => {
    await machine.start()
    await machine.pod('a')
    const [link] = machine.traces().links
    run('ip', ['link', 'set', link!, 'down'])
    await machine.remove('a')
    expect(machine.traces()).toEqual(nothing)
  })

  if (datapath === 'bridge')
    it('takes pods down from a bridge that someone made to run STP', async () => {
      await machine.start()
      for (const id of ['a', 'b']) await machine.pod(id)
      run('ip', ['link', 'set', 'cbr0', 'type', 'bridge', 'stp_state', '1'])
      await Promise.all([machine.remove('a'), machine.remove('b')])
      expect(machine.traces()).toEqual(nothing)
    })

  if (datapath === 'bridge')
    it('sets pods up all at once though the bridge is gone, or another one by now', async () => {
      await machine.start()
      const pods = (round: string) =>
        Promise.all(Array.from({ length: 8 }, (_, index) => machine.pod(`${round}${index}`)))
      await machine.pod('first')
      run('ip', ['link', 'del', 'cbr0'])
      expect(await pods('gone')).toHaveLength(8)
      run('ip', ['link', 'del', 'cbr0'])
      run('ip', ['link', 'add', 'cbr0', 'up', 'type', 'bridge'])
      expect(await pods('other')).toHaveLength(8)
      await machine.plugin.checkPod?.({ namespace: 'test', name: 'gone0', sandboxId: 'gone0' }, never())
    })

  it('puts no host port back of a pod that is being taken down', async () => {
    await machine.start()
    const ids = Array.from({ length: 10 }, (_, index) => `p${index}`)
    for (let round = 0; round < 3; round++) {
      await Promise.all(
        ids.map((id, index) => machine.pod(id, { portMappings: [port(7000 + 10 * round + index)] })),
      )
      for (const map of ['ports4', 'ports6']) run('nft', ['flush', 'map', 'inet', machine.table, map])
      await Promise.all([machine.plugin.event('repair', {}), ...ids.map(machine.remove)])
      expect(machine.traces()).toEqual(nothing)
    }
  })

  it('gives an address back only after all the others, across restarts too', async () => {
    await machine.start()
    expect((await machine.pod('a')).ip).toBe('10.88.0.2')
    await machine.remove('a')
    expect((await machine.pod('b')).ip).toBe('10.88.0.3')
    await machine.remove('b')
    await machine.start()
    expect((await machine.pod('c')).ip).toBe('10.88.0.4')
  })

  it('gives the address that an annotation asks for, when it is free', async () => {
    await machine.start({ options: { exclude: [{ family: 4, first: 0x0a580002n, last: 0x0a5800ffn }] } })
    const asking = (ip: string) => ({ annotations: { 'podwire.dev/ip': ip } })
    expect((await machine.pod('a', asking('10.88.0.7,fd88::77'))).ips).toEqual(['10.88.0.7', 'fd88::77'])
    expect((await machine.pod('b')).ips).toEqual(['10.88.1.0', 'fd88::2'])
    expect(await rejection(machine.pod('c', asking('10.88.0.7')))).toMatchObject({
      code: 'ADDRESS_IN_USE',
      details: { owner: 'pod test/a' },
    })
    for (const ip of ['10.88.0.1', '10.99.0.1', 'fd88::1', 'somewhere'])
      expect(await rejection(machine.pod('c', asking(ip)))).toMatchObject({ code: 'ADDRESS_NOT_USABLE' })
    expect(machine.traces().pods).toHaveLength(2)
  })

  it('refuses a host port that another pod or a program has, and leaves nothing of the pod that wanted it', async () => {
    await machine.start()
    await machine.pod('a', { portMappings: [port(8080)] })
    const before = machine.traces()
    const onHost = await machine.peer()
    await onHost.serve('tcp', 8081, 'program')
    await onHost.serve('udp', 8082, 'program')
    const refusals = [
      [port(8080), 'pod test/a'],
      [port(8081), 'a program of the host'],
      [port(8082, { protocol: 'udp' }), 'a program of the host'],
    ] as const
    for (const [mapping, owner] of refusals)
      expect(await rejection(machine.pod('b', { portMappings: [port(9999), mapping] }))).toMatchObject({
        code: 'HOST_PORT_IN_USE',
        details: { owner, hostPort: mapping.hostPort },
      })
    expect(machine.traces()).toEqual(before)
    // One that runs keeps what it has.
    await machine.pod('b', { portMappings: [port(9000)] })
    await expect(machine.again('b', { portMappings: [port(9001), port(8080)] })).rejects.toThrow(
      /8080\/tcp is in use/,
    )
    expect(run('nft', ['list', 'map', 'inet', machine.table, 'ports4'])).toMatch(/9000 : 10\.88/)
    expect(run('nft', ['list', 'map', 'inet', machine.table, 'ports4'])).toMatch(/8080 : 10\.88\.0\.2/)
  })

  it('leaves nothing of a set-up that failed at any step', async () => {
    await machine.start()
    inside(machine.sandbox('loopback').sandboxId, 'ip', 'link', 'add', 'eth0', 'type', 'ifb')
    const taken = await rejection(machine.pod('loopback'))
    expect(taken).toMatchObject({ code: 'INTERFACE_TAKEN', details: { name: 'eth0' } })
    const family = await rejection(
      machine
        .pod('ports', { portMappings: [port(80, { hostIP: '2001:db8::1' })] })
        .then(() => machine.remove('ports')),
    )
    expect(family).toBeUndefined()
    const aborted = new AbortController()
    aborted.abort(new Error('deadline'))
    await expect(machine.plugin.setUpPod(machine.sandbox('late'), aborted.signal)).rejects.toThrow('deadline')
    expect(machine.traces()).toEqual(nothing)
  })

  it('is the same to pods after a restart', async () => {
    await machine.start()
    await machine.pod('a', { portMappings: [port(8080)] })
    const inA = await machine.peer('a')
    await inA.serve('tcp', 80, 'a')
    await machine.start()
    await machine.plugin.checkPod?.(machine.host.pods.get('a')!, never())
    expect(await ipsOf('a')).toEqual(['10.88.0.2', 'fd88::2'])
    expect((await machine.again('a', { portMappings: [port(8080)] })).ip).toBe('10.88.0.2')
    expect((await machine.pod('b')).ip).toBe('10.88.0.3')
    expect(await (await machine.peer()).ask('tcp', '127.0.0.1', 8080)).toMatch(/^a /)
    await machine.remove('a')
    await machine.remove('b')
    expect(machine.traces()).toEqual(nothing)
  })

  it('puts back what was flushed or deleted, and reports it', async () => {
    const plugin = await machine.start()
    await machine.pod('a', { portMappings: [port(8080)] })
    await machine.pod('b')
    const [inA, onHost] = await Promise.all([machine.peer('a'), machine.peer()])
    await inA.serve('tcp', 80, 'a')
    const link = machine.linkOf('a')
    const ofDatapath: [string, string[], RegExp][] =
      datapath === 'bridge'
        ? [
            ['ip', ['addr', 'del', '10.88.0.1/16', 'dev', 'cbr0'], /address 10\.88\.0\.1\/16/],
            ['ip', ['route', 'del', '10.88.0.0/16', 'dev', 'cbr0'], /route 10\.88\.0\.0\/16/],
            ['ip', ['link', 'set', 'cbr0', 'down'], /settings of bridge cbr0/],
            ['bridge', ['link', 'set', 'dev', link, 'hairpin', 'off'], /hairpin of pw/],
            ['ip', ['link', 'set', link, 'nomaster'], /link pw/],
            ['ip', ['link', 'del', 'cbr0'], /bridge cbr0/],
          ]
        : [
            // With the address the kernel takes the routes that name it, of all pods.
            ['ip', ['addr', 'del', '10.88.0.1/32', 'dev', 'lo'], /address 10.*route to 10\.88\.0\.2 is gone/],
            ['ip', ['addr', 'del', 'fd88::1/128', 'dev', 'lo'], /address fd88::1\/128/],
            ['ip', ['route', 'del', 'unreachable', '10.88.0.0/16'], /route 10\.88\.0\.0\/16/],
            ['ip', ['route', 'del', '10.88.0.2'], /route to 10\.88\.0\.2 is gone/],
            ['ip', ['neigh', 'del', '10.88.0.2', 'dev', link], /neighbour 10\.88\.0\.2 is gone/],
            ['sysctl', ['-w', `net.ipv4.conf.${link}.rp_filter=0`], /rp_filter of pw\w+ is not 1/],
            ['sysctl', ['-w', `net.ipv4.conf.${link}.route_localnet=0`], /route_localnet of pw\w+ is not 1/],
            ['ip', ['link', 'set', link, 'down'], /link pw\w+ is down/],
          ]
    const damages: [string, string[], RegExp][] = [
      ['nft', ['flush', 'ruleset'], /firewall rules/],
      ['nft', ['flush', 'chain', 'inet', machine.table, 'postrouting'], /firewall rules/],
      ['nft', ['flush', 'map', 'inet', machine.table, 'ports4'], /firewall rules/],
      ['sysctl', ['-w', 'net.ipv4.ip_forward=0'], /net\.ipv4\.ip_forward = 1/],
      ...ofDatapath,
    ]
    for (const [file, args, repaired] of damages) {
      run(file, args)
      machine.host.reports.length = 0
      await plugin.event('repair', {})
      const [report] = machine.host.reports
      expect(String(report?.details.repaired), `${file} ${args.join(' ')}`).toMatch(repaired)
      // A bridge that is new passes packets some milliseconds later.
      const reach = () => onHost.ask('tcp', '127.0.0.1', 8080)
      await expect.poll(reach, { message: `${file} ${args.join(' ')}`, timeout: 3000 }).toMatch(/^a /)
      for (const id of ['a', 'b']) await plugin.checkPod?.(machine.host.pods.get(id)!, never())
    }
    machine.host.reports.length = 0
    await plugin.event('repair', {})
    expect(machine.host.reports).toEqual([])
    run('ip', ['link', 'del', link])
    await plugin.event('repair', {})
    expect(String(machine.host.reports[0]?.details.missing)).toMatch(/link pw.* of pod test\//)
  })

  it('puts rules back by itself: with the next pod, and after a while', async () => {
    await machine.start({ options: { repairInterval: 50 } })
    await machine.pod('before')
    run('nft', ['flush', 'ruleset'])
    await expect.poll(() => machine.host.reports.length).toBeGreaterThan(0)
    await machine.start()
    run('nft', ['flush', 'ruleset'])
    await machine.pod('a')
    expect(run('nft', ['list', 'ruleset'])).toContain('masquerade')
  })

  it('tells what differs of a pod, and the next set-up mends it', async () => {
    const plugin = await machine.start()
    const settings = { portMappings: [port(8080)] }
    await machine.pod('a', settings)
    const check = () => plugin.checkPod!(machine.host.pods.get('a')!, never())
    const [prefix, gateway] = datapath === 'bridge' ? ['16', '10.88.0.1'] : ['32', '169.254.1.1']
    const damages: [string[], RegExp][] = [
      [
        ['ip', 'addr', 'del', `10.88.0.2/${prefix}`, 'dev', 'eth0'],
        new RegExp(`eth0 lacks 10\\.88\\.0\\.2/${prefix}`),
      ],
      [['ip', 'route', 'del', 'default'], new RegExp(`default route via ${gateway} is gone`)],
      [['ip', 'link', 'set', 'eth0', 'down'], /eth0 is down/],
      [['ip', 'link', 'del', 'eth0'], /its link pw\w+ is gone/],
    ]
    for (const [command, difference] of damages) {
      await check()
      inside('a', ...command)
      await expect(check()).rejects.toThrow(difference)
      expect((await machine.again('a', settings)).ip).toBe('10.88.0.2')
    }
    await check()
    run('nft', ['flush', 'map', 'inet', machine.table, 'ports6'])
    await expect(check()).rejects.toThrow(/host port 8080\/tcp is not published/)
    await machine.again('a', settings)
    await check()
  })

  it('collects what belongs to nobody, and keeps the others', async () => {
    const plugin = await machine.start()
    for (const [index, id] of ['keep', 'forgotten', 'gone'].entries())
      await machine.pod(id, { portMappings: [port(8000 + index)] })
    removeNetns(machine.netnsOf('gone'))
    const mark = String(
      /alias (podwire [0-9a-f]{32})/.exec(run('ip', ['link', 'show', machine.linkOf('keep')]))?.[1],
    )
    const marks = {
      pw0123456789ab: `${mark} test/old`,
      pwba9876543210: `podwire ${'0'.repeat(32)} test/other`,
    }
    for (const [name, alias] of Object.entries(marks)) {
      run('ip', ['link', 'add', name, 'type', 'ifb'])
      run('ip', ['link', 'set', name, 'alias', alias])
    }
    run('nft', [`add element inet ${machine.table} ports4 { udp . 99 : 10.88.0.99 . 99 }`])
    await plugin.collectGarbage?.(['keep', 'gone'], never())
    expect(machine.traces()).toMatchObject({ pods: ['keep.json'], elements: 2, links: { length: 2 } })
    expect(machine.traces().links).toContain('pwba9876543210')
    run('ip', ['link', 'del', 'pwba9876543210'])
    expect(machine.traces().addresses.sort()).toEqual(['10.88.0.2', 'fd88::2'])
    await plugin.checkPod?.(machine.host.pods.get('keep')!, never())
  })

  it('collects pods whose namespace is gone when addresses run out', async () => {
    await machine.start({ podCIDR: '10.88.0.0/29' })
    for (const id of ['a', 'b', 'c', 'd', 'e']) await machine.pod(id)
    removeNetns(machine.netnsOf('b'))
    expect((await machine.pod('f')).ip).toBe('10.88.0.3')
  })

  it('gives a pod IPv6 where its namespace has it turned off', async () => {
    await machine.start()
    const { netns } = machine.sandbox('a')
    writeSysctl('net/ipv6/conf/default/disable_ipv6', 1, netns)
    expect((await machine.pod('a')).ips).toEqual(['10.88.0.2', 'fd88::2'])
    expect(inside('a', 'ip', '-6', 'addr', 'show', 'eth0')).toContain('fd88::2')
  })

  it('gives pods IPv6 where the host makes links without', async () => {
    writeSysctl('net/ipv6/conf/default/disable_ipv6', 1)
    try {
      await machine.start()
      for (const id of ['a', 'b']) await machine.pod(id)
      const [inA, inB] = await Promise.all([machine.peer('a'), machine.peer('b')])
      await inB.serve('tcp', 80, 'b')
      expect(await inA.ask('tcp', 'fd88::3', 80)).toBe('b fd88::2')
    } finally {
      writeSysctl('net/ipv6/conf/default/disable_ipv6', 0)
    }
  })

  it('works without host ports while the firewall is refused, says why, and offers them when it no longer is', async () => {
    // A table that another program owns may be changed by nobody else.
    const shell = 'nft'
    const owner = spawn(shell, ['-i'], { stdio: ['pipe', 'ignore', 'inherit'] })
    owner.stdin.write(`add table inet ${machine.table} { flags owner; }\n`)
    await expect.poll(() => run('nft', ['list', 'tables'])).toContain('podwire')
    const plugin = await machine.start()
    const offers = () => hasCapabilities(plugin.capabilities(), Capability.portMappings)
    await machine.pod('a')
    expect(offers()).toBe(false)
    expect(machine.warnings.join()).toMatch(/publishes no host ports: the kernel refuses nftables/)
    await plugin.checkPod?.(machine.host.pods.get('a')!, never())
    await expect(machine.pod('b', { portMappings: [port(8080)] })).rejects.toMatchObject({
      code: 'FIREWALL_UNAVAILABLE',
    })
    expect(machine.host.pods.size).toBe(2)
    owner.stdin.end()
    await once(owner, 'exit')
    await plugin.event('repair', {})
    expect(offers()).toBe(true)
    await machine.pod('b', { portMappings: [port(8080)] })
  })

  it('offers host ports while the kernel has nftables', async () => {
    const plugin = await machine.start()
    expect(
      hasCapabilities(plugin.capabilities(), Capability.portMappings | Capability.shaping | Capability.gc),
    ).toBe(true)
    expect(machine.warnings).toEqual([])
  })
})
