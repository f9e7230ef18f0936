import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isIsolated, useNetns } from '@podwire/testing'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { someNetns, useScriptedCni } from './scripted-cni.ts'

const cni = useScriptedCni()
const signal = new AbortController().signal
const chain = [
  { type: 'first', capabilities: { bandwidth: true, portMappings: true, ips: true, ipRanges: true } },
  { type: 'second' },
]

describe('setting a pod up', () => {
  it('runs the chain, and returns the address', async () => {
    await cni.network('10-net.conflist', 'net', chain)
    const plugin = await cni.plugin()
    const status = await plugin.setUpPod(cni.pod(), signal)
    expect(await cni.takeCalls()).toEqual(['ADD first eth0', 'ADD second eth0'])
    expect(status).toEqual({
      ip: '10.1.0.5',
      ips: ['10.1.0.5'],
      interfaces: [
        {
          name: 'eth0',
          network: 'net',
          ips: ['10.1.0.5'],
          mac: '02:00:00:00:00:01',
          addresses: [{ address: '10.1.0.5/24' }],
        },
      ],
    })
  })

  it('tells the plugins whose pod it is', async () => {
    await cni.network('10-net.conflist', 'net', chain)
    const plugin = await cni.plugin()
    await plugin.setUpPod(cni.pod({ namespace: 'shop', name: 'web' }), signal)
    const [first] = await cni.calls()
    expect(first).toMatchObject({
      containerId: 's1',
      netns: someNetns,
      args: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=s1',
    })
  })

  it('hands capability arguments to the plugins that declare them, and to no other', async () => {
    await cni.network('10-net.conflist', 'net', chain)
    const plugin = await cni.plugin()
    await plugin.event('pod-cidr-change', { 'pod-cidr': '10.88.0.0/16,fd00::/64' })
    await plugin.setUpPod(
      cni.pod({
        annotations: { 'kubernetes.io/ingress-bandwidth': '10M' },
        portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }],
      }),
      signal,
    )
    const [first, second] = await cni.calls()
    expect(first?.stdin.runtimeConfig).toEqual({
      portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }],
      bandwidth: { ingressRate: 10e6, ingressBurst: 1_048_576 },
      ipRanges: [[{ subnet: '10.88.0.0/16' }], [{ subnet: 'fd00::/64' }]],
    })
    expect(second?.stdin.runtimeConfig).toBeUndefined()
  })

  it('is about the sandbox that it is for, where a pod has two', async () => {
    await cni.network('10-net.conflist', 'net', chain)
    const plugin = await cni.plugin()
    const limited = (sandboxId: string, quantity: string) =>
      cni.pod({ sandboxId, annotations: { 'kubernetes.io/ingress-bandwidth': quantity } })
    const [old, next] = [limited('s1', '10M'), limited('s2', '20M')]
    cni.host.pods.push(old, next)
    await plugin.setUpPod(next, signal)
    const [first] = await cni.calls()
    expect(first).toMatchObject({
      containerId: 's2',
      stdin: { runtimeConfig: { bandwidth: { ingressRate: 20e6 } } },
    })
  })

  it('keeps what it remembers in the state directory by default', async () => {
    await cni.network('10-net.conflist', 'net', chain)
    const plugin = await cni.plugin({ cacheDir: undefined })
    await plugin.setUpPod(cni.pod(), signal)
    expect(await readdir(cni.file('results'))).toEqual(expect.arrayContaining(['net-s1-eth0']))
  })

  it('leaves a pod that is right alone', async () => {
    await cni.network('10-net.conflist', 'net', chain)
    const plugin = await cni.plugin()
    const before = await plugin.setUpPod(cni.pod(), signal)
    await cni.takeCalls()
    // Neither touches what its plugins see.
    await plugin.event('pod-cidr-change', { 'pod-cidr': '10.99.0.0/16' })
    const after = await plugin.setUpPod(cni.pod({ annotations: { team: 'red' } }), signal)
    expect(await cni.takeCalls()).toEqual([])
    expect(after).toEqual(before)
  })

  it('applies a changed limit, and asks for the address that the pod has', async () => {
    await cni.network('10-net.conflist', 'net', chain)
    const plugin = await cni.plugin()
    await plugin.setUpPod(cni.pod(), signal)
    await cni.takeCalls()
    const limited = cni.pod({ annotations: { 'kubernetes.io/egress-bandwidth': '5M' } })
    await plugin.setUpPod(limited, signal)
    const add = (await cni.calls()).find(({ command }) => command === 'ADD')
    expect(add?.stdin.runtimeConfig).toMatchObject({ ips: ['10.1.0.5/24'], bandwidth: { egressRate: 5e6 } })
    expect(await cni.takeCalls()).toEqual([
      'DEL second eth0',
      'DEL first eth0',
      'ADD first eth0',
      'ADD second eth0',
    ])
    await plugin.setUpPod(limited, signal)
    expect(await cni.takeCalls(), 'a third time').toEqual([])
  })

  it('puts a pod back as it was when a change fails', async () => {
    await cni.network('10-net.conflist', 'net', chain)
    const plugin = await cni.plugin()
    await plugin.setUpPod(cni.pod(), signal)
    // Fails with the new limit alone.
    await cni.write(
      'bin/first',
      (await readFile(cni.file('bin/first'), 'utf8')).replace(
        'stdin=$(cat)',
        `stdin=$(cat); case "$CNI_COMMAND$stdin" in ADD*egressRate*) echo '{"code":11,"msg":"no tbf here"}'; exit 1;; esac`,
      ),
    )
    await cni.takeCalls()
    const limited = cni.pod({ annotations: { 'kubernetes.io/egress-bandwidth': '5M' } })
    await expect(plugin.setUpPod(limited, signal)).rejects.toThrow('no tbf here')
    const calls = await cni.calls()
    expect(calls.slice(-2)).toMatchObject([
      { command: 'ADD', type: 'first', ifName: 'eth0', stdin: { runtimeConfig: { ips: ['10.1.0.5/24'] } } },
      { command: 'ADD', type: 'second', ifName: 'eth0' },
    ])
    await cni.takeCalls()
    await plugin.setUpPod(cni.pod(), signal)
    expect(await cni.takeCalls(), 'it is as it was').toEqual([])
  })

  it('undoes everything on a failure, and throws the first error', async () => {
    await cni.network('10-net.conflist', 'net', chain)
    await cni.fail('second', 'ADD', 'no more tunnels')
    const plugin = await cni.plugin()
    await expect(plugin.setUpPod(cni.pod(), signal)).rejects.toThrow(/"second".*no more tunnels/)
    expect(await cni.takeCalls()).toEqual([
      'ADD first eth0',
      'ADD second eth0',
      'DEL second eth0',
      'DEL first eth0',
    ])
    await plugin.tearDownPod(cni.pod(), signal)
    expect(await cni.takeCalls(), 'nothing is remembered').toEqual([])
  })

  it('undoes past failures of that, and tries again at tear-down', async () => {
    await cni.network('10-net.conflist', 'net', [{ type: 'first' }])
    await cni.network('20-other.conflist', 'other', [{ type: 'second' }])
    await cni.fail('second', 'ADD', 'no more tunnels')
    await cni.fail('first', 'DEL', 'stuck')
    const plugin = await cni.plugin()
    const pod = cni.pod({ annotations: { 'k8s.v1.cni.cncf.io/networks': 'other' } })
    await expect(plugin.setUpPod(pod, signal)).rejects.toThrow(/"second".*no more tunnels/)
    expect((await cni.takeCalls()).slice(-2)).toEqual(['DEL second net1', 'DEL first eth0'])
    expect(cni.log.messages('warn').join()).toContain('stuck')
    await cni.remove('first.DEL.error')
    await plugin.tearDownPod(pod, signal)
    expect(await cni.takeCalls()).toEqual(['DEL first eth0'])
  })

  it('takes down what a killed set-up left before it begins anew', async () => {
    await cni.network('10-net.conflist', 'net', chain)
    const plugin = await cni.plugin()
    await plugin.setUpPod(cni.pod(), signal)
    await dropResult(cni.file('cache'), 'net-s1-eth0')
    await cni.takeCalls()
    await plugin.setUpPod(cni.pod(), signal)
    expect(await cni.takeCalls()).toEqual([
      'DEL second eth0',
      'DEL first eth0',
      'ADD first eth0',
      'ADD second eth0',
    ])
  })

  it('ends when its signal aborts, with nothing left', async () => {
    await cni.network('10-net.conflist', 'net', chain)
    await cni.write('second.ADD.sleep', '')
    const plugin = await cni.plugin()
    const controller = new AbortController()
    const setUp = plugin.setUpPod(cni.pod(), controller.signal)
    const started = async () => (await cni.calls()).some(({ type }) => type === 'second')
    void vi.waitUntil(started, 10_000).then(() => controller.abort(new Error('the deadline of the host')))
    await expect(setUp).rejects.toThrow(/second/)
    expect((await cni.takeCalls()).slice(-2)).toEqual(['DEL second eth0', 'DEL first eth0'])
  })
})

describe('tearing a pod down', () => {
  it('runs everything backwards, once', async () => {
    await cni.network('10-net.conflist', 'net', chain)
    const plugin = await cni.plugin()
    await plugin.setUpPod(cni.pod(), signal)
    await cni.takeCalls()
    await plugin.tearDownPod(cni.pod(), signal)
    await plugin.tearDownPod(cni.pod(), signal)
    expect(await cni.takeCalls()).toEqual(['DEL second eth0', 'DEL first eth0'])
  })

  it.each([
    ['changed', () => cni.network('10-net.conflist', 'net', [{ type: 'second' }])],
    ['gone', () => cni.remove('net.d')],
  ])('goes by the configuration it was set up with when that is %s', async (_, change) => {
    await cni.network('10-net.conflist', 'net', chain)
    const before = await cni.plugin()
    await before.setUpPod(cni.pod(), signal)
    await cni.takeCalls()
    await change()
    const after = await cni.plugin()
    await after.tearDownPod(cni.pod(), signal)
    expect(await cni.takeCalls()).toEqual(['DEL second eth0', 'DEL first eth0'])
  })

  it('hands an empty namespace over when it is gone, and gets past a plugin that misses it', async () => {
    await cni.network('10-net.conflist', 'net', chain)
    const plugin = await cni.plugin()
    const pod = cni.pod({ netns: cni.file('netns') })
    await plugin.setUpPod(pod, signal)
    await cni.takeCalls()
    await cni.fail('second', 'DEL', 'failed to open netns "": no such file or directory')
    await plugin.tearDownPod(pod, signal)
    const calls = await cni.calls()
    expect(new Set(calls.map(({ netns }) => netns))).toEqual(new Set(['']))
    expect(await cni.takeCalls()).toContain('DEL first eth0')
    expect(cni.log.messages('warn').join()).toContain('torn down without a network namespace')
    await plugin.tearDownPod(pod, signal)
    expect(await cni.takeCalls(), 'nothing is remembered').toEqual([])
  })

  it('fails where a plugin does, tears the rest down, and tries again next time', async () => {
    await cni.network('10-net.conflist', 'net', chain)
    await cni.fail('second', 'DEL', 'the controller is away', 11)
    const plugin = await cni.plugin()
    await plugin.setUpPod(cni.pod(), signal)
    await cni.takeCalls()
    await expect(plugin.tearDownPod(cni.pod(), signal)).rejects.toThrow('the controller is away')
    expect(await cni.takeCalls()).toEqual(['DEL second eth0'])
    await cni.remove('second.DEL.error')
    await plugin.tearDownPod(cni.pod(), signal)
    expect(await cni.takeCalls()).toEqual(['DEL second eth0', 'DEL first eth0'])
  })

  it('goes past a plugin that refused the configuration it was set up with', async () => {
    await cni.network('10-net.conflist', 'net', chain)
    await cni.fail('second', 'ADD', 'mtu must be a number', 7)
    await cni.fail('second', 'DEL', 'mtu must be a number', 7)
    const plugin = await cni.plugin()
    await expect(plugin.setUpPod(cni.pod(), signal)).rejects.toThrow('mtu must be a number')
    await cni.takeCalls()
    await plugin.tearDownPod(cni.pod(), signal)
    expect(await cni.takeCalls()).toEqual(['DEL second eth0', 'DEL first eth0'])
    await plugin.tearDownPod(cni.pod(), signal)
    expect(await cni.takeCalls(), 'nothing is remembered').toEqual([])
  })

  it('tells a plugin that could not undo a failed set-up the configuration of today', async () => {
    await cni.network('10-net.conflist', 'net', [{ type: 'first', vlan: 9000 }, { type: 'second' }])
    await cni.fail('first', 'ADD', 'no such vlan')
    await cni.fail('first', 'DEL', 'no such vlan')
    const plugin = await cni.plugin()
    await expect(plugin.setUpPod(cni.pod(), signal)).rejects.toThrow('no such vlan')
    await expect(plugin.tearDownPod(cni.pod(), signal)).rejects.toMatchObject({
      code: 'CNI_UNUSABLE_CONFIGURATION',
      message: expect.stringMatching(/no such vlan.*Correct network "net"/),
    })
    await cni.network('10-net.conflist', 'net', [{ type: 'second' }, { type: 'first', vlan: 9 }])
    await cni.write(
      'bin/first',
      (await readFile(cni.file('bin/first'), 'utf8')).replace(
        'stdin=$(cat)',
        'stdin=$(cat); case "$stdin" in *vlan*9}*|*vlan*9,*) rm -f first.DEL.error;; esac',
      ),
    )
    const after = await cni.plugin()
    await cni.takeCalls()
    await after.tearDownPod(cni.pod(), signal)
    expect((await cni.calls()).map(({ type, stdin }) => [type, stdin['vlan']])).toEqual([
      ['second', undefined],
      ['first', 9000],
      ['first', 9],
    ])
    await cni.takeCalls()
    await after.tearDownPod(cni.pod(), signal)
    expect(await cni.takeCalls(), 'nothing is remembered').toEqual([])
  })

  it('waits for a plugin that will be able to undo a failed set-up later', async () => {
    await cni.network('10-net.conflist', 'net', chain)
    await cni.fail('second', 'ADD', 'the controller is away', 11)
    await cni.fail('second', 'DEL', 'the controller is away', 11)
    await expect((await cni.plugin()).setUpPod(cni.pod(), signal)).rejects.toThrow('away')
    await cni.network('10-net.conflist', 'net', [{ type: 'first' }, { type: 'second', mtu: 1400 }])
    const after = await cni.plugin()
    await cni.takeCalls()
    await expect(after.tearDownPod(cni.pod(), signal)).rejects.toMatchObject({ cniCode: 11 })
    const [call, ...more] = await cni.calls()
    expect([call?.stdin['mtu'], more]).toEqual([undefined, []])
  })

  it('fails where a plugin refuses the configuration that it accepted before', async () => {
    await cni.network('10-net.conflist', 'net', chain)
    const plugin = await cni.plugin()
    await plugin.setUpPod(cni.pod(), signal)
    await cni.fail('second', 'DEL', 'mtu must be a number', 7)
    await expect(plugin.tearDownPod(cni.pod(), signal)).rejects.toMatchObject({ cniCode: 7 })
  })

  it('goes by the network of that name when what was remembered is unreadable', async () => {
    await cni.network('10-net.conflist', 'net', chain)
    const plugin = await cni.plugin()
    await plugin.setUpPod(cni.pod(), signal)
    await cni.takeCalls()
    await writeFile(cni.file('cache/results/net-s1-eth0'), '{"kind":"cniCac')
    await plugin.tearDownPod(cni.pod(), signal)
    expect((await cni.calls()).map(({ netns }) => netns)).toEqual([someNetns, someNetns])
    expect(await cni.takeCalls()).toEqual(['DEL second eth0', 'DEL first eth0'])
  })

  it('says so when nothing tells how an attachment was made', async () => {
    await cni.network('10-net.conflist', 'net', chain)
    await (await cni.plugin()).setUpPod(cni.pod(), signal)
    await writeFile(cni.file('cache/results/net-s1-eth0'), '')
    await cni.remove('net.d')
    const after = await cni.plugin()
    await expect(after.tearDownPod(cni.pod(), signal)).rejects.toMatchObject({
      code: 'CNI_UNREADABLE_ATTACHMENT',
    })
  })
})

describe('further networks', () => {
  const annotations = { 'k8s.v1.cni.cncf.io/networks': 'storage,shop/lab@lab0' }
  const configure = async () => {
    await cni.network('10-net.conflist', 'net', chain)
    await cni.network('20-storage.conflist', 'storage', [{ type: 'second', capabilities: { ips: true } }])
    await cni.network('30-lab.conflist', 'lab', [{ type: 'second' }])
    return cni.plugin()
  }

  it('are attached after the first, shown in the status, and torn down before it', async () => {
    const plugin = await configure()
    const status = await plugin.setUpPod(cni.pod({ annotations }), signal)
    expect(await cni.takeCalls()).toEqual([
      'ADD first eth0',
      'ADD second eth0',
      'ADD second net1',
      'ADD second lab0',
    ])
    expect(status?.interfaces?.map(({ name, network }) => `${name} ${network}`)).toEqual([
      'eth0 net',
      'net1 storage',
      'lab0 lab',
    ])
    await plugin.tearDownPod(cni.pod({ annotations }), signal)
    expect((await cni.takeCalls()).slice(-2)).toEqual(['DEL second eth0', 'DEL first eth0'])
  })

  it('come and go with the annotation, and eth0 stays', async () => {
    const plugin = await configure()
    await plugin.setUpPod(cni.pod(), signal)
    await cni.takeCalls()
    await plugin.setUpPod(cni.pod({ annotations }), signal)
    expect(await cni.takeCalls()).toEqual(['ADD second net1', 'ADD second lab0'])
    await plugin.setUpPod(cni.pod({ annotations: { 'k8s.v1.cni.cncf.io/networks': 'storage' } }), signal)
    expect(await cni.takeCalls()).toEqual(['DEL second lab0'])
  })

  it('take arguments of their own', async () => {
    const plugin = await configure()
    const networks = [{ name: 'storage', ips: ['10.2.0.9/24'], 'cni-args': { vlan: 7 } }]
    const pod = cni.pod({ annotations: { 'k8s.v1.cni.cncf.io/networks': JSON.stringify(networks) } })
    await plugin.setUpPod(pod, signal)
    const call = (await cni.calls()).find(({ ifName }) => ifName === 'net1')
    expect(call?.stdin).toMatchObject({
      runtimeConfig: { ips: ['10.2.0.9/24'] },
      args: { cni: { vlan: 7 } },
    })
    await cni.takeCalls()
    await plugin.setUpPod(pod, signal)
    expect(await cni.takeCalls(), 'a second time').toEqual([])
  })

  it('take arguments of their own beside those of their configuration, whatever its keys are spelt like', async () => {
    await cni.network('10-net.conflist', 'net', chain)
    await cni.network('20-storage.conflist', 'storage', [{ type: 'second', Args: { team: 'red' } }])
    const plugin = await cni.plugin()
    const networks = [{ name: 'storage', 'cni-args': { vlan: 7 } }]
    const pod = cni.pod({ annotations: { 'k8s.v1.cni.cncf.io/networks': JSON.stringify(networks) } })
    await plugin.setUpPod(pod, signal)
    const call = (await cni.calls()).find(({ ifName }) => ifName === 'net1')
    expect(call?.stdin['args']).toEqual({ team: 'red', cni: { vlan: 7 } })
  })

  it.each([
    ['a network that nobody configured', 'nowhere', /"nowhere".*there is: net, storage, lab/],
    [
      'an argument that no plugin takes',
      '[{"name":"lab","ips":["10.2.0.9/24"]}]',
      /"lab" for ips, which none/,
    ],
    ['what is not a list', '{"name":"lab"}', /expected a list/],
  ])('refuse %s before anything runs', async (_, value, message) => {
    const plugin = await configure()
    const pod = cni.pod({ annotations: { 'k8s.v1.cni.cncf.io/networks': value } })
    await expect(plugin.setUpPod(pod, signal)).rejects.toThrow(message)
    expect(await cni.takeCalls()).toEqual([])
  })
})

describe.runIf(isIsolated())('lo', () => {
  const netns = useNetns()
  afterEach(() => netns.removeAll())
  const podWithLo = async (state: 'up' | 'down') => {
    const made = await netns.add()
    await made.run('ip', 'link', 'set', 'lo', state)
    return cni.pod({ netns: made.path })
  }
  const ofLoopback = async () => (await cni.allCalls()).map(({ command, type }) => `${command} ${type}`)

  it('is brought up before the chain runs, and taken down after it', async () => {
    await cni.network('10-net.conflist', 'net', [{ type: 'first' }])
    const plugin = await cni.plugin()
    const pod = await podWithLo('down')
    await plugin.setUpPod(pod, signal)
    await plugin.checkPod?.(pod, signal)
    await plugin.tearDownPod(pod, signal)
    expect(await ofLoopback()).toEqual([
      ...['ADD loopback', 'ADD first'],
      ...['CHECK loopback', 'CHECK first'],
      ...['DEL first', 'DEL loopback'],
    ])
  })

  it('is left alone where it was up already', async () => {
    await cni.network('10-net.conflist', 'net', [{ type: 'first' }])
    const plugin = await cni.plugin()
    const pod = await podWithLo('up')
    await plugin.setUpPod(pod, signal)
    await plugin.tearDownPod(pod, signal)
    expect(await ofLoopback()).toEqual(['ADD first', 'DEL first'])
  })

  it('is not worth a failure', async () => {
    await cni.network('10-net.conflist', 'net', chain)
    await cni.fail('loopback', 'DEL', 'lo is busy')
    const plugin = await cni.plugin()
    const pod = await podWithLo('down')
    await plugin.setUpPod(pod, signal)
    await plugin.tearDownPod(pod, signal)
    expect(cni.log.messages('warn').join()).toContain('lo is busy')
  })
})

describe('checking a pod', () => {
  it('runs CHECK in order, by what the pod was set up with', async () => {
    await cni.network('10-net.conflist', 'net', chain)
    const plugin = await cni.plugin()
    await expect(plugin.checkPod?.(cni.pod(), signal)).rejects.toThrow('Set the pod up')
    await plugin.setUpPod(cni.pod(), signal)
    await cni.takeCalls()
    await plugin.checkPod?.(cni.pod(), signal)
    expect(await cni.takeCalls()).toEqual(['CHECK first eth0', 'CHECK second eth0'])
    await cni.fail('second', 'CHECK', 'the tunnel is gone')
    await expect(plugin.checkPod?.(cni.pod(), signal)).rejects.toThrow('the tunnel is gone')
  })
})

describe('collecting garbage', () => {
  it('takes away what belongs to no sandbox, says so, and asks the plugins to do the same', async () => {
    await cni.network('10-net.conflist', 'net', chain, { cniVersion: '1.1.0' })
    const plugin = await cni.plugin()
    for (const sandboxId of ['kept', 'lost']) await plugin.setUpPod(cni.pod({ sandboxId }), signal)
    await cni.takeCalls()
    await plugin.collectGarbage?.(['kept'], signal)
    const calls = await cni.calls()
    expect(calls.map(({ command, type, containerId }) => `${command} ${type} ${containerId}`.trim())).toEqual(
      ['DEL second lost', 'DEL first lost', 'GC first', 'GC second'],
    )
    expect(calls.at(-1)?.stdin['cni.dev/valid-attachments']).toEqual([
      { containerID: 'kept', ifname: 'eth0' },
    ])
    expect(cni.host.reports.map(({ details }) => details)).toContainEqual({
      sandboxId: 'lost',
      network: 'net',
      ifName: 'eth0',
    })
  })

  it('leaves a sandbox alone whose record is unreadable', async () => {
    await cni.network('10-net.conflist', 'net', chain)
    const plugin = await cni.plugin()
    await plugin.setUpPod(cni.pod({ sandboxId: 'kept' }), signal)
    await writeFile(cni.file('cache/results/net-kept-eth0'), 'x')
    await cni.takeCalls()
    await plugin.collectGarbage?.(['kept'], signal)
    expect(await cni.takeCalls()).toEqual([])
  })

  it('goes on past what fails, and says what did', async () => {
    await cni.network('10-net.conflist', 'net', chain)
    const plugin = await cni.plugin()
    for (const sandboxId of ['a', 'b']) await plugin.setUpPod(cni.pod({ sandboxId }), signal)
    await cni.fail('second', 'DEL', 'the controller is away')
    await expect(plugin.collectGarbage?.([], signal)).rejects.toThrow('the controller is away')
    await cni.remove('second.DEL.error')
    await cni.takeCalls()
    await plugin.collectGarbage?.([], signal)
    expect(await cni.takeCalls()).toHaveLength(4)
  })
})

it('sets many pods up at once', async () => {
  await cni.network('10-net.conflist', 'net', chain)
  const plugin = await cni.plugin()
  const ids = Array.from({ length: 12 }, (_, index) => `many-${index}`)
  const pods = ids.map((id) => cni.pod({ namespace: 'n', name: id, sandboxId: id }))
  await Promise.all(pods.map((pod) => plugin.setUpPod(pod, new AbortController().signal)))
  await Promise.all(pods.map((pod) => plugin.tearDownPod(pod, new AbortController().signal)))
  const calls = await cni.calls()
  for (const command of ['ADD', 'DEL']) {
    expect(calls.filter((call) => call.command === command)).toHaveLength(24)
  }
})

/** Makes of a finished attachment one whose set-up was killed. */
async function dropResult(cacheDir: string, entry: string): Promise<void> {
  const path = join(cacheDir, 'results', entry)
  const { result: _, ...rest } = JSON.parse(await readFile(path, 'utf8'))
  await writeFile(path, JSON.stringify(rest))
}
