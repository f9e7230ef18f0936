import { existsSync, readdirSync } from 'node:fs'
import { expect, it } from 'vitest'
import type { DatapathName } from '../src/datapath/datapath.ts'
import { describeDatapaths, describeIsolated, never, run, useMachine } from './support/machine.ts'

const port = (hostPort: number) => ({ hostPort, containerPort: 80, protocol: 'tcp' as const })

describeDatapaths('a host that goes over to another data path, %s,', (to) => {
  const machine = useMachine(to)
  const from: DatapathName = to === 'routed' ? 'bridge' : 'routed'

  it('keeps its pods as they are until they go, reached by new ones and reaching them', async () => {
    await machine.start({ options: { datapath: from } })
    await machine.pod('old', { portMappings: [port(8080)] })
    await machine.start()
    await machine.pod('new', { portMappings: [port(8081)] })
    const [inOld, inNew, onHost] = await Promise.all([
      machine.peer('old'),
      machine.peer('new'),
      machine.peer(),
    ])
    const check = (id: string) => machine.plugin.checkPod!(machine.host.pods.get(id)!, never())
    for (const protocol of ['tcp', 'udp'] as const) {
      await inOld.serve(protocol, 80, 'old')
      await inNew.serve(protocol, 80, 'new')
      expect(await inOld.ask(protocol, '10.88.0.3', 80)).toBe('new 10.88.0.2')
      expect(await inOld.ask(protocol, 'fd88::3', 80)).toBe('new fd88::2')
      expect(await inNew.ask(protocol, '10.88.0.2', 80)).toBe('old 10.88.0.3')
      expect(await inNew.ask(protocol, 'fd88::2', 80)).toBe('old fd88::3')
    }
    for (const [hostPort, label] of [
      [8080, 'old'],
      [8081, 'new'],
    ] as const) {
      expect(await onHost.ask('tcp', '127.0.0.1', hostPort)).toMatch(new RegExp(`^${label} `))
      expect(await inOld.ask('tcp', '10.88.0.1', hostPort)).toMatch(new RegExp(`^${label} `))
      expect(await inNew.ask('tcp', 'fd88::1', hostPort)).toMatch(new RegExp(`^${label} `))
    }
    // Changed and mended as what it is.
    await machine.again('old', { portMappings: [port(8082)] })
    await machine.plugin.event('repair', {})
    expect(machine.host.reports).toEqual([])
    for (const id of ['old', 'new']) await check(id)
    expect(await onHost.ask('tcp', '127.0.0.1', 8082)).toMatch(/^old /)
    await machine.remove('old')
    expect(await onHost.ask('tcp', '10.88.0.3', 80)).toBe('new 10.88.0.1')
    expect(existsSync('/sys/class/net/cbr0')).toBe(to === 'bridge')
    expect(run('ip', ['addr', 'show', 'dev', 'lo']).includes('10.88.0.1/32')).toBe(to === 'routed')
    await check('new')
  })
})

describeIsolated('kubenet', () => {
  const machine = useMachine()

  it('makes no bridge where no pod needs one', async () => {
    await machine.start()
    await machine.pod('a')
    const kinds = run('ip', ['-d', '-j', 'link'])
    expect(kinds).not.toContain('"bridge"')
    expect(readdirSync('/sys/class/net').filter((name) => name !== 'lo')).toEqual([machine.linkOf('a')])
  })

  it("leaves the settings of the host's own links alone", async () => {
    await machine.outside()
    const settings = () =>
      ['up0', 'lo', 'default', 'all']
        .map((link) =>
          run('sh', ['-c', `cd /proc/sys/net && grep -H . ipv?/conf/${link}/* 2>/dev/null || true`]),
        )
        .join()
        .split('\n')
        // What forwarding turns with it, so that the host goes on to listen to its router.
        .filter(
          (line) =>
            !/forwarding|accept_ra:|stable_secret|accept_redirects|send_redirects|shared_media/.test(line),
        )
    const before = settings()
    await machine.start()
    await machine.pod('a')
    await machine.remove('a')
    expect(settings()).toEqual(before)
  })

  it('takes all that it made away when it is asked to, and not under its pods', async () => {
    const seen = () => ({
      links: readdirSync('/sys/class/net').sort(),
      addresses: run('ip', ['-o', 'addr', 'show', 'dev', 'lo']).replace(/_lft \S+/g, ''),
      routes: run('ip', ['route', 'show', 'table', 'all']) + run('ip', ['-6', 'route', 'show']),
      tables: run('nft', ['list', 'tables']),
    })
    const before = seen()
    for (const datapath of ['routed', 'bridge'] as const) {
      await machine.start({ options: { datapath }, hairpinMode: 'promiscuous-bridge' })
      await machine.pod('a', { portMappings: [port(8080)] })
      await expect(machine.plugin.event('reset', {})).rejects.toMatchObject({
        code: 'PODS_LEFT',
        details: { pods: 1 },
      })
      await machine.plugin.checkPod!(machine.host.pods.get('a')!, never())
      await machine.remove('a')
      await machine.plugin.event('reset', {})
      expect(seen()).toEqual(before)
      await machine.plugin.event('reset', {})
      // And begins anew.
      expect((await machine.pod('b')).ip).toMatch(/^10\.88\./)
      await machine.remove('b')
      await machine.plugin.event('reset', {})
    }
    expect(seen()).toEqual(before)
  })

  it('puts rules back at once when somebody takes them away, and no more when that was itself', async () => {
    await machine.start({ options: { repairInterval: 3_600_000 } })
    await machine.pod('a', { portMappings: [port(8080)] })
    const rules = () => run('nft', ['list', 'ruleset'])
    const reports = machine.host.reports
    await machine.again('a', { portMappings: [port(8081)] })
    await machine.remove('a')
    await machine.pod('b', { portMappings: [port(8080)] })
    for (const damage of [
      ['flush', 'ruleset'],
      ['delete', 'table', 'inet', machine.table],
      ['flush', 'chain', 'inet', machine.table, 'raw'],
      ['flush', 'map', 'inet', machine.table, 'ports4'],
    ]) {
      expect(reports).toEqual([])
      run('nft', damage)
      await expect.poll(() => reports.length, { message: damage.join(' '), timeout: 10_000 }).toBe(1)
      expect(rules()).toMatch(/8080 : 10\.88[\s\S]*from-pods/)
      reports.length = 0
    }
    // Somebody else's.
    run('nft', ['add', 'table', 'inet', 'other'])
    run('nft', ['delete', 'table', 'inet', 'other'])
    await machine.pod('c')
    expect(reports).toEqual([])
  })

  it('loses no removal of a port that meets a flush', async () => {
    await machine.start()
    for (const id of ['a', 'b', 'c']) await machine.pod(id, { portMappings: [port(8000 + id.charCodeAt(0))] })
    run('nft', ['flush', 'ruleset'])
    await machine.remove('a')
    run('nft', ['flush', 'ruleset'])
    await machine.again('b', { portMappings: [] })
    await machine.pod('d')
    const published = run('nft', ['list', 'map', 'inet', machine.table, 'ports4'])
    expect([...published.matchAll(/(\d+) : 10\./g)].map(([, number]) => number)).toEqual(['8099'])
  })
})
