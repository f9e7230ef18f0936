import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import type { NetworkPlugin } from '@podwire/api'
import { readSysctl } from '@podwire/netlink'
import { expect, it } from 'vitest'
import { findFreePodCIDR } from '../src/node/free-cidr.ts'
import { defaultOptions, type KubenetOptions } from '../src/options.ts'
import { createKubenet } from '../src/plugin.ts'
import { describeDatapaths, never, nothing, run, useMachine } from './support/machine.ts'

describeDatapaths('kubenet beside others (%s)', (datapath) => {
  const machine = useMachine(datapath)
  const settings = { hairpinMode: 'hairpin-veth', nonMasqueradeCIDR: '10.0.0.0/8', mtu: 0 } as const

  async function otherHost(stateDir: string, podCidr: string, options: Partial<KubenetOptions> = {}) {
    const log = { debug() {}, info() {}, warn() {}, error() {} }
    const plugin = createKubenet({
      options: { ...defaultOptions, datapath, repairInterval: 0, ...options },
      stateDir,
      log,
    })
    await plugin.init(machine.host, settings)
    const refusal = await plugin.event('pod-cidr-change', { 'pod-cidr': podCidr })?.then(
      () => undefined,
      (error: unknown) => error,
    )
    return { plugin, refusal }
  }

  async function using(stateDir: string, act: (stateDir: string) => Promise<void>) {
    try {
      await act(stateDir)
    } finally {
      rmSync(stateDir, { recursive: true, force: true })
    }
  }

  const refuse = async (plugin: NetworkPlugin, podCidr: string) =>
    plugin.event('pod-cidr-change', { 'pod-cidr': podCidr })

  if (datapath === 'bridge')
    it('leaves the bridge of another state directory alone, and says whose it is', async () => {
      await machine.start()
      await machine.pod('a')
      await using(mkdtempSync('/run/kubenet-other-'), async (stateDir) => {
        const { plugin, refusal } = await otherHost(stateDir, '10.88.0.0/16')
        expect(refusal).toMatchObject({
          code: 'BRIDGE_OF_ANOTHER_HOST',
          details: { stateDir: machine.stateDir },
        })
        await expect(plugin.setUpPod(machine.sandbox('b'), never())).rejects.toMatchObject({
          code: 'BRIDGE_OF_ANOTHER_HOST',
        })
        await plugin.collectGarbage?.([], never())
        await plugin.close?.()
      })
      await machine.plugin.checkPod?.(machine.host.pods.get('a')!, never())
    })

  it('shares a machine with another host that has a pod CIDR of its own, and ports', async () => {
    await machine.start({ podCIDR: '10.88.0.0/16' })
    const port = (hostPort: number) => ({ hostPort, containerPort: 80, protocol: 'tcp' as const })
    await machine.pod('a', { portMappings: [port(8080)] })
    await using(mkdtempSync('/run/kubenet-other-'), async (stateDir) => {
      const inTheWay = await otherHost(stateDir, '10.88.0.0/16', { bridge: 'cbr1' })
      const first = datapath === 'bridge' ? 'route 10.88.0.0/16 on cbr0' : 'route 10.88.0.2/32 on pw'
      expect(inTheWay.refusal).toMatchObject({
        code: 'POD_CIDR_IN_USE',
        details: { inTheWay: expect.stringContaining(first) },
      })
      await inTheWay.plugin.close?.()
      const { plugin } = await otherHost(stateDir, '10.89.0.0/16', { bridge: 'cbr1' })
      // The same sandbox's name in both.
      const { netns } = machine.sandbox('b')
      const theirs = { ...machine.host.pods.get('a')!, netns, portMappings: [port(8081)] }
      await plugin.setUpPod(theirs, never())
      expect(machine.traces().links).toHaveLength(2)
      const [inA, inB, onHost] = await Promise.all([machine.peer('a'), machine.peer('b'), machine.peer()])
      await inA.serve('tcp', 80, 'a')
      await inB.serve('tcp', 80, 'b')
      const answers = async () => [
        await onHost.ask('tcp', '127.0.0.1', 8080),
        await onHost.ask('tcp', '127.0.0.1', 8081),
        await inA.ask('tcp', '10.89.0.1', 8081),
        await inB.ask('tcp', '10.88.0.1', 8080),
      ]
      const both = [expect.stringMatching(/^a /), expect.stringMatching(/^b /)]
      expect(await answers()).toEqual([...both, ...both.toReversed()])
      // Each looks after its own.
      for (const one of [machine.plugin, plugin]) await one.event('repair', {})
      await machine.again('a', { portMappings: [port(8080), port(8082)] })
      expect(await answers()).toEqual([...both, ...both.toReversed()])
      await machine.plugin.collectGarbage?.(['a'], never())
      expect(machine.traces().links).toHaveLength(2)
      await plugin.collectGarbage?.([], never())
      expect(machine.traces().links).toHaveLength(1)
      await plugin.event('reset', {})
      await plugin.close?.()
      expect(run('nft', ['list', 'tables']).match(/table inet podwire-/g)).toHaveLength(1)
      expect(await onHost.ask('tcp', '127.0.0.1', 8080)).toMatch(/^a /)
    })
    await machine.plugin.checkPod?.(machine.host.pods.get('a')!, never())
  })

  if (datapath === 'bridge')
    it('does not move the pods of a state directory to another bridge', async () => {
      await machine.start()
      await machine.pod('a')
      run('ip', ['addr', 'flush', 'dev', 'cbr0'])
      const { plugin, refusal } = await otherHost(machine.stateDir, '10.89.0.0/16', { bridge: 'cbr1' })
      expect(refusal).toMatchObject({ code: 'BRIDGE_CHANGED', details: { bridge: 'cbr0', pods: 1 } })
      await plugin.close?.()
    })

  it('takes over from a state directory that is gone, when no pods of it are left', async () => {
    await machine.start()
    await machine.pod('a')
    const { stateDir } = machine
    await machine.remove('a')
    rmSync(stateDir, { recursive: true })
    await machine.start()
    await machine.pod('a')
    await machine.plugin.checkPod?.(machine.host.pods.get('a')!, never())
  })

  it("refuses a pod CIDR that the host's routes or addresses use, and finds one that is free", async () => {
    run('ip', ['link', 'add', 'podman0', 'up', 'type', 'bridge'])
    run('ip', ['addr', 'add', '10.88.0.1/16', 'dev', 'podman0'])
    run('ip', ['addr', 'add', '10.90.7.7/32', 'dev', 'podman0'])
    run('ip', ['route', 'add', '10.91.3.0/24', 'dev', 'podman0'])
    run('ip', ['route', 'add', '10.92.0.0/14', 'via', '10.88.0.9'])
    const plugin = await machine.start({ podCIDR: '10.93.0.0/16' })
    try {
      for (const [podCidr, inTheWay] of [
        ['10.88.0.0/16', 'route 10.88.0.0/16 on podman0'],
        ['10.88.5.0/24', 'route 10.88.0.0/16 on podman0'],
        ['10.90.0.0/16', 'address 10.90.7.7/32 on podman0'],
        ['10.91.0.0/16', 'route 10.91.3.0/24 on podman0'],
        ['10.92.0.0/14', 'route 10.92.0.0/14 via 10.88.0.9 on podman0'],
      ] as const)
        await expect(refuse(plugin, podCidr)).rejects.toMatchObject({
          code: 'POD_CIDR_IN_USE',
          details: { inTheWay },
        })
      await expect(plugin.status()).rejects.toThrow(/10\.92\.0\.0\/14 is in use on this host/)
      await refuse(plugin, '10.93.0.0/16')
      await machine.pod('a')
      await plugin.status()
      await refuse(plugin, '10.93.0.0/16')
    } finally {
      run('ip', ['link', 'del', 'podman0'])
    }
  })

  it('takes a pod CIDR that is free, and keeps it', async () => {
    run('ip', ['link', 'add', 'podman0', 'type', 'bridge'])
    run('ip', ['addr', 'add', '10.88.0.1/16', 'dev', 'podman0'])
    try {
      await machine.start({ podCIDR: 'auto' })
      expect((await machine.pod('a')).ip).toBe('10.89.0.2')
      // Somebody else's choice would be the next one: this one is taken by now.
      expect(await findFreePodCIDR()).toBe('10.90.0.0/16')
      run('ip', ['link', 'del', 'podman0'])
      await machine.start({ podCIDR: 'auto' })
      expect((await machine.pod('b')).ip).toBe('10.89.0.3')
    } finally {
      spawnSync('ip', ['link', 'del', 'podman0'])
    }
  })

  if (datapath === 'bridge')
    it('gives no pod an address that something else on the bridge has', async () => {
      await machine.start()
      await machine.pod('a')
      run('ip', ['addr', 'add', '10.88.0.3/16', 'dev', 'cbr0'])
      run('ip', ['neigh', 'add', '10.88.0.4', 'lladdr', '02:00:00:00:00:07', 'dev', 'cbr0'])
      await machine.plugin.event('repair', {})
      expect((await machine.pod('b')).ip).toBe('10.88.0.5')
      await expect(
        machine.pod('c', { annotations: { 'podwire.dev/ip': '10.88.0.4' } }),
      ).rejects.toMatchObject({
        code: 'ADDRESS_IN_USE',
      })
    })

  it('touches nothing while a host only looks', async () => {
    writeForwarding('0')
    const plugin = await machine.start()
    await plugin.status()
    await plugin.event('repair', {})
    await plugin.tearDownPod({ namespace: 'test', name: 'a', sandboxId: 'a' }, never())
    await plugin.collectGarbage?.([], never())
    expect(readdirSync('/sys/class/net')).not.toContain('cbr0')
    expect(run('ip', ['-o', 'addr', 'show', 'dev', 'lo'])).not.toContain('10.88.0.1')
    expect(readSysctl('net/ipv4/ip_forward')).toBe('0')
    expect(readdirSync(machine.stateDir)).toEqual([])
    await machine.pod('a')
    expect(readSysctl('net/ipv4/ip_forward')).toBe('1')
  })

  it('takes the gateway of an earlier pod CIDR away when its last pod is gone', async () => {
    const gateways = () =>
      [
        ...run('ip', ['-o', '-4', 'addr', 'show', 'dev', datapath === 'bridge' ? 'cbr0' : 'lo']).matchAll(
          /inet (10\S+)/g,
        ),
      ].map(([, cidr]) => cidr)
    const length = datapath === 'bridge' ? 24 : 32
    const plugin = await machine.start({ podCIDR: '10.88.0.0/24' })
    for (const id of ['a', 'b']) await machine.pod(id)
    await plugin.event('pod-cidr-change', { 'pod-cidr': '10.89.0.0/24' })
    await machine.pod('new')
    expect(gateways()).toEqual([`10.88.0.1/${length}`, `10.89.0.1/${length}`])
    await machine.remove('a')
    expect(gateways()).toEqual([`10.88.0.1/${length}`, `10.89.0.1/${length}`])
    await machine.remove('b')
    expect(gateways()).toEqual([`10.89.0.1/${length}`])
    await machine.remove('new')
    // Across a restart, when no pod is left to tell of the earlier one.
    await machine.start({ podCIDR: '10.90.0.0/24' })
    await machine.pod('c')
    expect(gateways()).toEqual([`10.90.0.1/${length}`])
  })

  it('says that its state directory can not be written, before a pod needs it', async () => {
    const plugin = await machine.start()
    await plugin.status()
    run('mount', ['-t', 'tmpfs', '-o', 'ro', 'tmpfs', machine.stateDir])
    try {
      await expect(plugin.status()).rejects.toMatchObject({
        code: 'STATE_NOT_WRITABLE',
        details: { stateDir: machine.stateDir },
      })
    } finally {
      run('umount', [machine.stateDir])
    }
  })

  it('tears down a pod whose record can not be read, with all that it has', async () => {
    await machine.start()
    await machine.pod('a', { portMappings: [{ hostPort: 80, containerPort: 80, protocol: 'tcp' }] })
    writeFileSync(`${machine.stateDir}/pods/a.json`, '{"sandboxId": "../../etc/passwd"}')
    await expect(machine.again('a')).rejects.toMatchObject({ code: 'RECORD_UNREADABLE' })
    await machine.remove('a')
    expect(machine.traces()).toEqual(nothing)
  })
})

function writeForwarding(value: string) {
  run('sysctl', ['-w', `net.ipv4.ip_forward=${value}`])
}
