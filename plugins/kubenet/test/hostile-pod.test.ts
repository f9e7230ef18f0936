import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { links, openNetlink, readSysctl, writeSysctl } from '@podwire/netlink'
import { expect, it } from 'vitest'
import { describeDatapaths, run, useMachine } from './support/machine.ts'
import { advertiseRouter } from './support/router-advertisement.ts'

describeDatapaths('a hostile pod (%s)', (datapath) => {
  const machine = useMachine(datapath)
  const routing = () =>
    [
      run('ip', ['-6', 'route', 'show', 'default']),
      run('ip', ['-6', '-o', 'addr', 'show', 'scope', 'global']).replace(/(valid|preferred)_lft \S+/g, ''),
    ].join('\n')
  const inside = (id: string, ...command: string[]) =>
    run('nsenter', [`--net=${machine.netnsOf(id)}`, ...command])

  function advertise(netns: string) {
    using netlink = openNetlink({ netns })
    advertiseRouter(netns, netlink.runSync(links.get('eth0')).index)
  }

  it.each(['10.88.0.0/16', '10.88.0.0/16,fd88::/64'])(
    "does not become the host's router, nor another pod's, by advertising itself (%s)",
    async (podCIDR) => {
      await machine.outside()
      writeSysctl('net/ipv6/conf/up0/accept_ra', 1)
      await machine.start({ podCIDR })
      for (const id of ['evil', 'victim']) await machine.pod(id)
      const evil = machine.netnsOf('evil')
      writeSysctl('net/ipv6/conf/eth0/disable_ipv6', 0, evil)
      inside('evil', 'ip', 'addr', 'add', 'fe80::bad/64', 'dev', 'eth0', 'nodad')
      const before = { host: routing(), victim: inside('victim', 'ip', '-6', 'route') }
      const onHost = await machine.peer()
      await onHost.serve('tcp', 7777, 'host')
      const peer = await machine.peer('evil')
      for (let round = 0; round < 3; round++) advertise(evil)
      // What was sent later is answered, so that those were looked at before.
      expect(await peer.ask('tcp', '10.88.0.1', 7777)).toBe('host 10.88.0.2')
      expect({ host: routing(), victim: inside('victim', 'ip', '-6', 'route') }).toEqual(before)
      if (datapath === 'bridge') {
        expect(readSysctl('net/ipv6/conf/cbr0/accept_ra')).toBe('0')
        expect(readSysctl('net/ipv6/conf/cbr0/accept_redirects')).toBe('0')
        // What keeps it out: a bridge that listens to routers takes it for one.
        writeSysctl('net/ipv6/conf/cbr0/accept_ra', 2)
        await expect
          .poll(() => {
            advertise(evil)
            return run('ip', ['-6', 'route', 'show', 'default'])
          })
          .toContain('dev cbr0')
        writeSysctl('net/ipv6/conf/cbr0/accept_ra', 0)
        run('ip', ['-6', 'route', 'flush', 'proto', 'ra'])
      } else {
        // What keeps it out: a host that listens to routers on every link, and no rule.
        const link = machine.linkOf('evil')
        writeSysctl(`net/ipv6/conf/${link}/accept_ra`, 2)
        advertise(evil)
        expect(await peer.ask('tcp', '10.88.0.1', 7777)).toBe('host 10.88.0.2')
        expect(routing()).toBe(before.host)
        run('nft', ['flush', 'chain', 'inet', machine.table, 'from-pods'])
        await expect
          .poll(() => {
            advertise(evil)
            return run('ip', ['-6', 'route', 'show', 'default'])
          })
          .toContain(`dev ${link}`)
        run('ip', ['-6', 'route', 'flush', 'proto', 'ra'])
      }
      // A real router's are taken, forwarding or not, as they were before.
      inside('outside', 'ip', 'addr', 'add', 'fe80::1/64', 'dev', 'eth0', 'nodad')
      await expect
        .poll(() => {
          advertise(machine.netnsOf('outside'))
          return run('ip', ['-6', 'route', 'show', 'default'])
        })
        .toContain('via fe80::1 dev up0')
    },
  )

  it("does not reach services of the host's loopback where no firewall guards it", async () => {
    const ownTable = spawn('nft', ['-i'], { stdio: ['pipe', 'ignore', 'inherit'] })
    ownTable.stdin.write(`add table inet ${machine.table} { flags owner; }\n`)
    await expect.poll(() => run('nft', ['list', 'tables'])).toContain('podwire')
    await machine.start()
    await machine.pod('evil')
    await (await machine.peer()).serve('tcp', 7777, 'secret', '127.0.0.1')
    // A pod is root in its own network: nothing there keeps such packets from leaving.
    inside('evil', 'ip', 'addr', 'del', '127.0.0.1/8', 'dev', 'lo')
    const way = ['via', machine.gateway, 'dev', 'eth0', 'onlink', 'src', '10.88.0.2']
    inside('evil', 'ip', 'route', 'add', '127.0.0.1', ...way)
    for (const name of ['all', 'eth0'])
      writeSysctl(`net/ipv4/conf/${name}/route_localnet`, 1, machine.netnsOf('evil'))
    const evil = await machine.peer('evil')
    const steal = (timeout = 500) => evil.ask('tcp', '127.0.0.1', 7777, { timeout })
    const link = datapath === 'bridge' ? 'cbr0' : machine.linkOf('evil')
    const path = `net/ipv4/conf/${link}/route_localnet`
    const localnet = () => readSysctl(path)
    expect(localnet()).toBe('0')
    expect(await steal()).toBe('timeout')
    // What it would get, were the way open.
    writeSysctl(path, 1)
    expect(await steal(10_000)).toMatch(/^secret/)
    ownTable.stdin.end()
    await once(ownTable, 'exit')
    await machine.plugin.event('repair', {})
    expect(localnet()).toBe('1')
    expect(await steal()).toBe('timeout')
    // The guard goes, and can't be put back: so goes the way.
    const again = spawn('nft', ['-i'], { stdio: ['pipe', 'ignore', 'inherit'] })
    run('nft', ['flush', 'ruleset'])
    again.stdin.write(`add table inet ${machine.table} { flags owner; }\n`)
    await expect.poll(() => run('nft', ['list', 'tables'])).toContain('podwire')
    await machine.pod('next')
    expect(localnet()).toBe('0')
    expect(await steal()).toBe('timeout')
    again.stdin.end()
    await once(again, 'exit')
  })
})
