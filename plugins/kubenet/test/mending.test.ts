import { readdirSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { describeDatapaths, never, nothing, run, useMachine } from './support/machine.ts'

describeDatapaths('a set-up (%s)', (datapath) => {
  const machine = useMachine(datapath)
  const settings = { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' as const }] }
  const inside = (id: string, ...command: string[]) =>
    run('nsenter', [`--net=${machine.netnsOf(id)}`, ...command])
  const check = (id: string) => machine.plugin.checkPod!(machine.host.pods.get(id)!, never())
  const reported = () => machine.host.reports.flatMap(({ details }) => details['repaired']).join()

  it('of another pod puts back what all share, and tells', async () => {
    await machine.start()
    await machine.pod('a')
    await (await machine.peer()).serve('tcp', 7777, 'host')
    const damages: [string[], RegExp][] =
      datapath === 'bridge'
        ? [
            [['addr', 'flush', 'dev', 'cbr0'], /address 10\.88\.0\.1\/16/],
            [['addr', 'del', 'fd88::1/64', 'dev', 'cbr0'], /address fd88::1\/64/],
            [['route', 'del', '10.88.0.0/16', 'dev', 'cbr0'], /route 10\.88\.0\.0\/16/],
            [['link', 'set', 'cbr0', 'down'], /settings of bridge cbr0/],
          ]
        : [
            [['addr', 'del', '10.88.0.1/32', 'dev', 'lo'], /address 10\.88\.0\.1\/32/],
            [['addr', 'del', 'fd88::1/128', 'dev', 'lo'], /address fd88::1\/128/],
          ]
    for (const [index, [damage, repaired]] of damages.entries()) {
      machine.host.reports.length = 0
      run('ip', damage)
      await machine.pod(`b${index}`)
      expect(reported()).toMatch(repaired)
      const peer = await machine.peer(`b${index}`)
      for (const gateway of ['10.88.0.1', 'fd88::1'])
        expect(await peer.ask('tcp', gateway, 7777)).toMatch(/^host /)
    }
    machine.host.reports.length = 0
    await machine.pod('c')
    expect(machine.host.reports).toEqual([])
  })

  it('of another pod goes on with a repair that a kill cut short', async () => {
    await machine.start()
    await machine.pod('a')
    await (await machine.peer()).serve('tcp', 7777, 'host')
    const reachesHost = async () => (await machine.peer('a')).ask('tcp', '10.88.0.1', 7777, { timeout: 2000 })
    expect(await reachesHost()).toMatch(/^host /)
    expect(readdirSync(machine.stateDir)).not.toContain('repairing')
    // What all share was put back, and what pods had of it was not when the process ended.
    const host = machine.linkOf('a')
    if (datapath === 'bridge') run('ip', ['link', 'set', host, 'nomaster'])
    else run('ip', ['route', 'flush', 'dev', host])
    writeFileSync(`${machine.stateDir}/repairing`, '')
    await machine.start()
    await machine.pod('b')
    expect(await reachesHost()).toMatch(/^host /)
    expect(readdirSync(machine.stateDir)).not.toContain('repairing')
  })

  it('puts back what all share while pods go', async () => {
    const leaving = Array.from({ length: 8 }, (_, index) => `leaving${index}`)
    await machine.start()
    for (let round = 0; round < 5; round++) {
      await Promise.all(leaving.map((id) => machine.pod(id)))
      if (datapath === 'bridge') run('ip', ['link', 'del', 'cbr0'])
      else run('ip', ['addr', 'del', '10.88.0.1/32', 'dev', 'lo'])
      await Promise.all([machine.pod('a'), ...leaving.map(machine.remove)])
      await check('a')
      await machine.remove('a')
    }
    expect(machine.traces()).toEqual(nothing)
  })

  it('of the same pod mends what differs, no more, and tells', async () => {
    await machine.start()
    await machine.pod('a', {
      ...settings,
      annotations: { 'kubernetes.io/ingress-bandwidth': '10M', 'kubernetes.io/egress-bandwidth': '10M' },
    })
    const pod = machine.host.pods.get('a')!
    const host = machine.traces().links.find((name) => !name.startsWith('pwi'))!
    const ifb = machine.traces().links.find((name) => name.startsWith('pwi'))!
    const onHost = (...command: string[]) => run(command[0]!, command.slice(1))
    const [prefix, gateway, gateway6] =
      datapath === 'bridge' ? ['16', '10.88.0.1', 'fd88::1'] : ['32', '169.254.1.1', 'fe80::1']
    const ofDatapath: [() => void, RegExp][] =
      datapath === 'bridge'
        ? [
            [() => onHost('ip', 'link', 'set', host, 'nomaster'), /not a port of the bridge/],
            [() => onHost('bridge', 'link', 'set', 'dev', host, 'hairpin', 'off'), /hairpin of pw\w+ is off/],
          ]
        : [
            [() => onHost('ip', 'route', 'del', '10.88.0.2'), /route to 10\.88\.0\.2 is gone/],
            [() => onHost('ip', 'route', 'del', 'fd88::2'), /route to fd88::2 is gone/],
            [() => onHost('ip', 'neigh', 'del', '10.88.0.2', 'dev', host), /neighbour 10\.88\.0\.2 is gone/],
            [() => onHost('ip', 'neigh', 'del', 'fd88::2', 'dev', host), /neighbour fd88::2 is gone/],
            [
              () => onHost('sysctl', '-w', `net.ipv4.conf.${host}.rp_filter=0`),
              /rp_filter of pw\w+ is not 1/,
            ],
            [() => onHost('ip', 'link', 'set', host, 'arp', 'on'), /ARP of pw\w+ is on/],
            [
              () => inside('a', 'ip', 'neigh', 'del', '169.254.1.1', 'dev', 'eth0'),
              /neighbour 169\.254\.1\.1/,
            ],
            [() => inside('a', 'ip', 'neigh', 'del', 'fe80::1', 'dev', 'eth0'), /neighbour fe80::1/],
          ]
    const damages: [() => void, RegExp][] = [
      ...ofDatapath,
      [() => onHost('ip', 'link', 'set', host, 'down'), /pw\w+ is down/],
      [() => onHost('ip', 'link', 'del', ifb), /egress bandwidth/],
      [() => onHost('tc', 'qdisc', 'del', 'dev', host, 'root'), /ingress bandwidth/],
      [
        () => onHost('nft', 'flush', 'map', 'inet', machine.table, 'ports4'),
        /host port 8080\/tcp is not published|firewall rules/,
      ],
      [
        () => inside('a', 'ip', 'addr', 'flush', 'dev', 'eth0'),
        new RegExp(`eth0 lacks 10\\.88\\.0\\.2/${prefix}`),
      ],
      [() => inside('a', 'ip', 'route', 'del', 'default'), new RegExp(`default route via ${gateway}`)],
      [() => inside('a', 'ip', '-6', 'route', 'del', 'default'), new RegExp(`default route via ${gateway6}`)],
      [() => inside('a', 'ip', 'link', 'set', 'eth0', 'down'), /eth0 is down/],
      [() => inside('a', 'ip', 'link', 'set', 'eth0', 'mtu', '1300'), /MTU of eth0 is 1300/],
    ]
    const index = () => inside('a', 'cat', '/proc/net/dev_snmp6/eth0').split('\n', 1)[0]
    const before = index()
    for (const [damage, difference] of damages) {
      damage()
      await expect(check('a')).rejects.toThrow(difference)
      machine.host.reports.length = 0
      await machine.plugin.setUpPod(pod, never())
      expect(reported()).toMatch(difference)
      await check('a')
      expect(index()).toBe(before)
    }
    run('ip', ['link', 'del', host])
    await machine.plugin.setUpPod(pod, never())
    await check('a')
    machine.host.reports.length = 0
    await machine.plugin.setUpPod(pod, never())
    expect(machine.host.reports).toEqual([])
  })
})
