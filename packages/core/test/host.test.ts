import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isIsolated, recordingLogger } from '@podwire/testing'
import { describe, expect, test } from 'vitest'
import {
  createNetworkHost,
  inSandbox,
  type NetworkHost,
  type NetworkHostOptions,
  type PodRequest,
  sandboxProcesses,
} from '../src/index.ts'
import { offering, workspace } from './workspace.ts'

const web = { namespace: 'default', name: 'web' }
const netnsOf = (name: string) => join('/run/netns', name)
const calls = () => (globalThis as { calls?: string[] }).calls ?? []

/** A host with one plugin that records its calls, and fails as `body` says. */
async function hostWith(body = '', options: NetworkHostOptions = {}) {
  const files = await workspace()
  const recording = `
    setUpPod: async (pod) => { globalThis.calls.push('set up ' + pod.name); return { ip: '192.0.2.7' } },
    tearDownPod: async (pod) => { globalThis.calls.push('tear down ' + pod.name) },`
  await files.plugin('podwire-plugin-x', { code: offering('x', recording + body) })
  await files.plugin('podwire-plugin-y', {
    code: offering('y', recording.replaceAll('set up', 'y set up').replaceAll('tear down ', 'y tear down ')),
  })
  Object.assign(globalThis, { calls: [] })
  const log = recordingLogger()
  const stateDir = join(files.dir, 'state')
  const start = (more: NetworkHostOptions = {}) =>
    createNetworkHost({ cwd: files.dir, stateDir, log, config: { networkPlugin: 'x' }, ...options, ...more })
  return { ...files, log, stateDir, start, host: await start() }
}

describe.skipIf(!isIsolated())('a host', () => {
  test('gives a pod a namespace and takes it away, and does both once', async () => {
    const { host, stateDir } = await hostWith()
    const pod = await host.setUpPod(web)
    expect(pod).toMatchObject({ phase: 'ready', plugin: 'x', status: { ip: '192.0.2.7' }, ownsNetns: true })
    expect(existsSync(pod.pod.netns)).toBe(true)
    expect(await host.setUpPod(web)).toEqual(pod)
    expect(await host.pods()).toEqual([pod])
    expect(await host.pod(web)).toEqual(pod)
    await host.tearDownPod(web)
    await host.tearDownPod(web)
    expect(calls()).toEqual(['set up web', 'tear down web'])
    expect(existsSync(pod.pod.netns)).toBe(false)
    expect(readdirSync(join(stateDir, 'sandboxes'))).toEqual([])
  })

  test('loses nothing when 64 pods come and go at once', async () => {
    const { host } = await hostWith()
    const pods = Array.from({ length: 64 }, (_, i) => ({ namespace: 'default', name: `pod-${i}` }))
    await Promise.all([...pods, ...pods].map((pod) => host.setUpPod(pod)))
    expect(await host.pods()).toHaveLength(64)
    expect(calls()).toHaveLength(64)
    await Promise.all(pods.map((pod) => host.tearDownPod(pod)))
    expect(await host.pods()).toEqual([])
    expect(readdirSync('/run/netns')).toEqual([])
  })

  test('adopts a namespace by path or by process, and leaves it there', async () => {
    const { host } = await hostWith()
    execFileSync('ip', ['netns', 'add', 'mine'])
    const sleeper = spawn('unshare', ['--net', 'sleep', '60'])
    await once(sleeper, 'spawn')
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(await host.setUpPod({ ...web, netns: netnsOf('mine') })).toMatchObject({ ownsNetns: false })
    const other = { namespace: 'default', name: 'other' }
    expect(await host.setUpPod({ ...other, pid: sleeper.pid ?? 0 })).toMatchObject({
      pod: { netns: `/proc/${sleeper.pid}/ns/net` },
    })
    await expect(host.setUpPod({ ...web, pid: sleeper.pid ?? 0 })).rejects.toMatchObject({
      code: 'NETNS_CONFLICT',
    })
    await host.tearDownPod(web)
    await host.tearDownPod(other)
    expect(existsSync(netnsOf('mine'))).toBe(true)
    sleeper.kill()
    execFileSync('ip', ['netns', 'delete', 'mine'])
  })

  test('refuses its own namespace, and what is none', async () => {
    const { host } = await hostWith()
    await expect(host.setUpPod({ ...web, pid: process.pid })).rejects.toMatchObject({
      code: 'OWN_NETNS',
      exitCode: 2,
    })
    await expect(host.setUpPod({ ...web, netns: '/etc/passwd' })).rejects.toMatchObject({
      code: 'NOT_A_NETNS',
      exitCode: 2,
    })
    await expect(host.setUpPod({ ...web, pid: 4_000_000 })).rejects.toMatchObject({ code: 'NOT_A_NETNS' })
    expect(await host.pods()).toEqual([])
  })

  test("leaves a namespace that isn't its own, and says what to do", async () => {
    const { host } = await hostWith()
    const { netns } = (await host.setUpPod(web)).pod
    await host.tearDownPod(web)
    execFileSync('ip', ['netns', 'add', netns.slice('/run/netns/'.length)])
    await expect(host.setUpPod(web)).rejects.toMatchObject({ code: 'NETNS_EXISTS' })
    expect(existsSync(netns)).toBe(true)
    execFileSync('ip', ['netns', 'delete', netns.slice('/run/netns/'.length)])
  })

  test('a set-up that fails leaves nothing', async () => {
    const { host, stateDir } = await hostWith(`setUpPod: async () => { throw new Error('no bridge') },`)
    const failed: unknown[] = []
    host.events.on('pod:setup:failed', ({ error }) => failed.push(error))
    await expect(host.setUpPod(web)).rejects.toThrow(
      'networkPlugin x failed to set up pod "web_default" network',
    )
    expect(failed).toHaveLength(1)
    expect(calls()).toEqual(['tear down web'])
    expect(readdirSync('/run/netns')).toEqual([])
    expect(readdirSync(join(stateDir, 'sandboxes'))).toEqual([])
  })

  test('a failed set-up whose clean-up fails too is cleaned up by the next host', async () => {
    const body = `setUpPod: async () => { throw new Error('first') },
      tearDownPod: async () => { if (!globalThis.mended) throw new Error('second'); globalThis.calls.push('mended') },`
    const { host, start, log } = await hostWith(body)
    await expect(host.setUpPod(web)).rejects.toThrow('first')
    expect(await host.pods()).toMatchObject([{ phase: 'tearing-down' }])
    expect(log.entries.some(({ message }) => message.includes('will be torn down later'))).toBe(true)
    Object.assign(globalThis, { mended: true })
    const recovered: string[] = []
    const next = await start({
      listen: (events) => void events.on('sandbox:recovered', ({ why }) => recovered.push(why)),
    })
    Object.assign(globalThis, { mended: false })
    expect(recovered).toEqual(['its tear-down never finished'])
    expect(await next.pods()).toEqual([])
    expect(calls()).toEqual(['mended'])
    expect(readdirSync('/run/netns')).toEqual([])
  })

  test('changed annotations reach the plugin; a change that fails keeps the pod as it was', async () => {
    const { host } = await hostWith(
      `setUpPod: async (pod) => { if (globalThis.refuse) throw new Error('no'); globalThis.calls.push('set up'); return { ip: '192.0.2.7' } },`,
    )
    await host.setUpPod(web)
    const changed = await host.setUpPod({ ...web, annotations: { colour: 'red' } })
    expect(changed.pod.annotations).toEqual({ colour: 'red' })
    Object.assign(globalThis, { refuse: true })
    await expect(host.setUpPod({ ...web, annotations: { colour: 'blue' } })).rejects.toThrow('no')
    Object.assign(globalThis, { refuse: false })
    expect(await host.pod(web)).toEqual(changed)
    expect(calls()).toEqual(['set up', 'set up'])
    await host.tearDownPod(web)
  })

  test('a pod whose namespace went away is set up anew, and dropped by the next start', async () => {
    const { host, start } = await hostWith()
    const { netns } = (await host.setUpPod(web)).pod
    execFileSync('ip', ['netns', 'delete', netns.slice('/run/netns/'.length)])
    await host.setUpPod(web)
    expect(calls()).toEqual(['set up web', 'tear down web', 'set up web'])
    execFileSync('ip', ['netns', 'delete', netns.slice('/run/netns/'.length)])
    expect(await (await start()).pods()).toEqual([])
    expect(calls().at(-1)).toBe('tear down web')
  })

  test('a pod goes down by the plugin that set it up, though the configuration names another', async () => {
    const { host, start } = await hostWith()
    await host.setUpPod(web)
    const next = await start({ config: { networkPlugin: 'y' } })
    await next.tearDownPod(web)
    expect(calls()).toEqual(['set up web', 'tear down web'])
    await next.close()
  })

  test('a pod ends with the process that owns it', async () => {
    const { host, start } = await hostWith()
    const owner = spawn('sleep', ['60'])
    await host.setUpPod({ ...web, ownerPid: owner.pid ?? 0 })
    expect(await (await start()).pods()).toHaveLength(1)
    owner.kill('SIGKILL')
    await once(owner, 'exit')
    expect(await (await start()).pods()).toEqual([])
  })

  test('a record that can not be read is set aside and reported, and its pod torn down', async () => {
    const { host, start, stateDir, log } = await hostWith()
    await host.setUpPod(web)
    const torn = await host.setUpPod({ namespace: 'default', name: 'torn' })
    const file = join(stateDir, `sandboxes/${torn.pod.sandboxId}.json`)
    writeFileSync(file, '{"version":1,"po')
    const next = await start()
    expect(log.entries.some(({ message }) => message.includes(file))).toBe(true)
    expect(existsSync(`${file}.unreadable`)).toBe(true)
    expect(calls().at(-1)).toBe('tear down unknown')
    expect(existsSync(torn.pod.netns)).toBe(false)
    expect(await next.pods()).toHaveLength(1)
    await next.setUpPod({ namespace: 'default', name: 'torn' })
    await next.tearDownPod({ namespace: 'default', name: 'torn' })
    await next.tearDownPod(web)
  })

  test('a pod that comes up during a garbage collection waits for it', async () => {
    const { host } = await hostWith(`
      capabilities: () => 16,
      collectGarbage: async (valid) => {
        globalThis.calls.push('collect beside ' + valid.length)
        await new Promise((resolve) => setTimeout(resolve, 50))
        globalThis.calls.push('collected')
      },`)
    await host.setUpPod(web)
    const other = { namespace: 'default', name: 'other' }
    await Promise.all([host.collectGarbage(), host.setUpPod(other)])
    expect(calls()).toEqual(['set up web', 'collect beside 1', 'collected', 'set up other'])
    await host.tearDownPod(web)
    await host.tearDownPod(other)
  })

  test('kill -9 at any moment leaves what the next start puts right', async () => {
    const { dir, stateDir, start } = await hostWith()
    const script = `
      Object.assign(globalThis, { calls: [] })
      const { createNetworkHost } = await import(${JSON.stringify(new URL('../src/index.ts', import.meta.url).href)})
      const host = await createNetworkHost({ cwd: ${JSON.stringify(dir)}, stateDir: ${JSON.stringify(stateDir)}, config: { networkPlugin: 'x' } })
      console.log('ready')
      for (let i = 0; ; i = (i + 1) % 5) { const pod = { namespace: 'default', name: 'p' + i }; await host.setUpPod(pod); await host.tearDownPod(pod) }`
    const args = [
      '--import',
      new URL('../../../.dev/run-source.mjs', import.meta.url).pathname,
      '--input-type=module',
      '-e',
      script,
    ]
    for (let round = 0; round < 8; round++) {
      const worker = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
      await once(worker.stdout, 'data')
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 30))
      worker.kill('SIGKILL')
      await once(worker, 'exit')
      const next = await start()
      for (const { pod, phase } of await next.pods()) {
        expect(phase).toBe('ready')
        await next.tearDownPod(pod)
      }
      expect(readdirSync('/run/netns')).toEqual([])
      if (existsSync(join(stateDir, 'sandboxes')))
        expect(readdirSync(join(stateDir, 'sandboxes'))).toEqual([])
    }
  }, 60_000)

  test('a change that a kill cut off is undone by the next start', async () => {
    const body = `setUpPod: async (pod) => {
        globalThis.calls.push('set up ' + JSON.stringify(pod.annotations) + ' in ' + pod.netns)
        if (pod.annotations.colour === 'blue' && !globalThis.calm) await new Promise(() => {})
        return { ip: '192.0.2.7' }
      },`
    const { host, start, stateDir } = await hostWith(body)
    const before = await host.setUpPod({ ...web, annotations: { colour: 'red' } })
    void host.setUpPod({ ...web, annotations: { colour: 'blue' } }).catch(() => {})
    await expect.poll(() => calls().length).toBe(2)
    expect(await host.pod(web)).toMatchObject({ phase: 'changing', previous: before.pod })
    // What the kernel does with the lock of a process that is killed.
    rmSync(join(stateDir, 'locks'), { recursive: true })
    const next = await start()
    expect(await next.pod(web)).toMatchObject({ phase: 'ready', pod: before.pod })
    expect(calls().at(-1)).toBe(`set up {"colour":"red"} in ${before.pod.netns}`)
    await next.tearDownPod(web)
  })

  test('changes that a kill cut off are undone in whatever order they depend on each other', async () => {
    // The first one gets back what it had when the second one has given it back.
    const body = `setUpPod: async ({ name }) => {
        if (globalThis.taken === name) throw new Error('in use')
        await new Promise((resolve) => setTimeout(resolve, 50))
        if (name === 'second') globalThis.taken = undefined
        return { ip: '192.0.2.7' }
      },`
    const { host, start, stateDir } = await hostWith(body)
    for (const name of ['first', 'second']) {
      const { pod, ...before } = await host.setUpPod({ ...web, name })
      const changing = {
        ...before,
        pod: { ...pod, annotations: { a: 'b' } },
        previous: pod,
        phase: 'changing',
      }
      writeFileSync(join(stateDir, `sandboxes/${pod.sandboxId}.changing`), JSON.stringify(changing))
    }
    Object.assign(globalThis, { taken: 'first' })
    const next = await start()
    expect(await next.pods()).toMatchObject([
      { phase: 'ready', pod: { name: 'first', annotations: {} } },
      { phase: 'ready', pod: { name: 'second', annotations: {} } },
    ])
    await next.prune({ all: true })
  })

  test('a change that a kill cut off, and that cannot be undone any more, is finished', async () => {
    // As with a port that another pod has taken since.
    const body = `setUpPod: async (pod) => {
        if (globalThis.taken && pod.annotations.colour !== 'blue') throw new Error('in use')
        return { ip: '192.0.2.7' }
      },`
    const { host, start, stateDir } = await hostWith(body)
    const { pod, ...before } = await host.setUpPod(web)
    const blue = { ...pod, annotations: { colour: 'blue' } }
    const changing = { ...before, pod: blue, previous: pod, phase: 'changing' }
    const write = () =>
      writeFileSync(join(stateDir, `sandboxes/${pod.sandboxId}.changing`), JSON.stringify(changing))
    Object.assign(globalThis, { taken: true })
    write()
    const next = await start()
    const finished = await next.pod(web)
    expect(finished).toMatchObject({ phase: 'ready', pod: blue })
    expect(finished).not.toHaveProperty('previous')
    write()
    expect(await next.setUpPod({ ...web, annotations: { colour: 'blue' } })).toMatchObject({
      phase: 'ready',
      pod: blue,
    })
    await next.tearDownPod(web)
  })

  test('set-up of a pod that a change left half done undoes that, and keeps the pod', async () => {
    const { host, stateDir } = await hostWith()
    const before = await host.setUpPod(web)
    const file = join(stateDir, `sandboxes/${before.pod.sandboxId}.changing`)
    const pod = { ...before.pod, annotations: { colour: 'red' } }
    writeFileSync(file, JSON.stringify({ ...before, pod, previous: before.pod, phase: 'changing' }))
    expect(await host.setUpPod(web)).toMatchObject({ phase: 'ready', pod: before.pod })
    expect(calls()).toEqual(['set up web', 'set up web'])
    await host.tearDownPod(web)
  })

  test('a change that its deadline cut off is undone at once', async () => {
    const body = `setUpPod: async (pod, signal) => {
        globalThis.calls.push('set up ' + JSON.stringify(pod.annotations))
        if (pod.annotations.colour === 'blue') await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
        return { ip: '192.0.2.7' }
      },`
    const { host } = await hostWith(body, {
      config: { networkPlugin: 'x', deadlines: { setUpPod: '200ms' } },
    })
    const before = await host.setUpPod(web)
    await expect(host.setUpPod({ ...web, annotations: { colour: 'blue' } })).rejects.toThrow(
      'not done within',
    )
    expect(calls().slice(1)).toEqual(['set up {"colour":"blue"}', 'set up {}'])
    expect(await host.pod(web)).toMatchObject({ phase: 'ready', pod: before.pod })
    await host.tearDownPod(web)
  })

  test('set-up again mends what the plugin finds wrong, and leaves what is right alone', async () => {
    const body = `capabilities: () => 8,
      checkPod: async () => { if (globalThis.broken) throw new Error('its link is gone') },
      setUpPod: async (pod) => { globalThis.calls.push('set up'); globalThis.broken = false; return { ip: '192.0.2.7' } },`
    const { host } = await hostWith(body)
    const repaired: string[] = []
    host.events.on('pod:repaired', ({ why }) => repaired.push(why))
    await host.setUpPod(web)
    await host.setUpPod(web)
    expect(calls()).toEqual(['set up'])
    Object.assign(globalThis, { broken: true })
    await host.setUpPod(web)
    expect(calls()).toEqual(['set up', 'set up'])
    Object.assign(globalThis, { broken: true })
    expect(await host.repair()).toMatchObject([{ repaired: expect.stringContaining('its link is gone') }])
    expect(repaired).toHaveLength(2)
    expect(await host.repair()).toMatchObject([{ pod: { name: 'web' } }])
    await host.tearDownPod(web)
  })

  test('a pod that must be new is refused where there is one, which stays as it was', async () => {
    const { host } = await hostWith()
    const before = await host.setUpPod(web)
    const again = { ...web, annotations: { colour: 'red' }, mustBeNew: true }
    await expect(host.setUpPod(again)).rejects.toMatchObject({ code: 'POD_EXISTS', exitCode: 2 })
    expect(await host.pod(web)).toEqual(before)
    await host.tearDownPod(web)
    await host.setUpPod(again)
    await host.tearDownPod(web)
  })

  test('a pod without an address is an error and leaves nothing, unless it was asked for', async () => {
    const { host } = await hostWith('setUpPod: async () => {},')
    await expect(host.setUpPod(web)).rejects.toMatchObject({ code: 'NO_ADDRESS' })
    expect(await host.pods()).toEqual([])
    expect(await host.setUpPod({ ...web, allowNoAddress: true })).toMatchObject({ phase: 'ready' })
    await host.tearDownPod(web)
  })

  test("two sandboxes of one pod keep their own annotations; an id that is another pod's is refused", async () => {
    const { host } = await hostWith(
      `setUpPod: async (pod) => { globalThis.calls.push(pod.sandboxId + ' ' + pod.annotations.n); return { ip: '192.0.2.7' } },`,
    )
    await host.setUpPod({ ...web, sandboxId: 'one', annotations: { n: '1' } })
    await host.setUpPod({ ...web, sandboxId: 'two', annotations: { n: '2' } })
    expect(calls()).toEqual(['one 1', 'two 2'])
    const other = { namespace: 'default', name: 'other' }
    await expect(host.setUpPod({ ...other, sandboxId: 'one' })).rejects.toMatchObject({
      code: 'SANDBOX_ID_TAKEN',
      message: expect.stringContaining('pod default/web has it'),
    })
    const usual = (await host.setUpPod(other)).pod.sandboxId
    await expect(host.setUpPod({ ...web, sandboxId: usual })).rejects.toMatchObject({
      code: 'SANDBOX_ID_TAKEN',
    })
    expect(await host.pod({ ...other, sandboxId: 'one' })).toBeUndefined()
    for (const sandboxId of ['one', 'two']) await host.tearDownPod({ ...web, sandboxId })
    await host.tearDownPod(other)
    expect(await host.pods()).toEqual([])
  })

  test("a sandbox's processes end with it, those of an adopted one do not", async () => {
    const { host } = await hostWith()
    const record = await host.setUpPod(web)
    const inside = await inSandbox(record, () =>
      spawn('sh', ['-c', 'trap "" TERM; sleep 300 & echo $!; wait'], { stdio: ['ignore', 'pipe', 'ignore'] }),
    )
    const [grandchild] = await once(inside.stdout, 'data')
    expect(sandboxProcesses(record)).toContain(Number(grandchild))
    const ended = once(inside, 'exit')
    await host.tearDownPod(web)
    expect(await ended).toEqual([null, 'SIGKILL'])
    expect(existsSync(`/proc/${Number(grandchild)}/ns/net`)).toBe(false)
    const adopted = spawn('unshare', ['--net', 'sh', '-c', 'echo in; exec sleep 300'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    await once(adopted.stdout, 'data')
    await host.setUpPod({ ...web, pid: adopted.pid ?? 0 })
    await host.tearDownPod(web)
    expect(adopted.exitCode).toBeNull()
    adopted.kill()
  })

  test('nobody is let into what took the place of a network namespace', async () => {
    const { host } = await hostWith()
    const record = await host.setUpPod(web)
    const name = record.pod.netns.slice('/run/netns/'.length)
    execFileSync('ip', ['netns', 'delete', name])
    execFileSync('ip', ['netns', 'add', name])
    await expect(inSandbox(record, () => 'in')).rejects.toMatchObject({ code: 'NETNS_GONE' })
    execFileSync('ip', ['netns', 'delete', name])
    await expect(inSandbox(record, () => 'in')).rejects.toMatchObject({ code: 'NETNS_GONE' })
    await host.tearDownPod(web)
  })

  test('force takes away what the plugin can not, and says what may be left; else the record says why it is stuck', async () => {
    const { host } = await hostWith(`tearDownPod: async () => { throw new Error('no such bridge') },`)
    const { pod } = await host.setUpPod(web)
    await expect(host.tearDownPod(web)).rejects.toThrow('no such bridge')
    expect(await host.pod(web)).toMatchObject({
      phase: 'tearing-down',
      problem: expect.stringContaining('no such bridge'),
    })
    expect(await host.prune()).toMatchObject([{ failed: expect.stringContaining('no such bridge') }])
    expect(await host.tearDownPod(web, { force: true })).toEqual([expect.stringContaining('no such bridge')])
    expect(existsSync(pod.netns)).toBe(false)
    expect(await host.pods()).toEqual([])
  })

  test('prune takes what nobody needs, with all everything but what a container runtime attached, and that too when told', async () => {
    const { host, start } = await hostWith()
    const owner = spawn('sleep', ['60'])
    await host.setUpPod({ ...web, ownerPid: owner.pid ?? 0 })
    await host.setUpPod({ namespace: 'default', name: 'kept' })
    owner.kill('SIGKILL')
    await once(owner, 'exit')
    const pruner = await start({ start: false, config: { networkPlugin: 'none.such' } })
    expect(await pruner.prune()).toMatchObject([
      { pod: { name: 'web' }, why: expect.stringContaining('gone') },
    ])
    expect(await pruner.pods()).toMatchObject([{ pod: { name: 'kept' } }])
    const attachment = { network: 'net1', containerId: 'c1', ifName: 'eth0' }
    await host.setUpPod({ namespace: 'default', name: 'attached', attachment })
    const results = await pruner.prune({ all: true })
    expect(new Map(results.map(({ pod, kept }) => [pod.name, kept]))).toEqual(
      new Map([
        ['kept', undefined],
        ['attached', 'a container runtime attached it, as container c1 to network net1'],
      ]),
    )
    expect(await host.pods()).toMatchObject([{ pod: { name: 'attached' } }])
    const [gone] = await pruner.prune({ all: true, attachments: true })
    expect(gone).toEqual({ pod: expect.objectContaining({ name: 'attached' }), why: 'all were to go' })
    expect(await host.pods()).toEqual([])
  })

  test('a pod goes down by its record alone: no configuration, no plugin near', async () => {
    const { host, dir, stateDir } = await hostWith()
    await host.setUpPod(web)
    const elsewhere = await createNetworkHost({ cwd: '/', config: {}, stateDir, start: false })
    await elsewhere.tearDownPod(web)
    expect(calls()).toEqual(['set up web', 'tear down web'])
    expect(dir).toBeDefined()
  })

  /** Hosts of a plugin `x` whose state directory has room for some records. */
  async function onSmallDisk(
    body: string,
    act: (disk: {
      stateDir: string
      log: ReturnType<typeof recordingLogger>
      open: () => Promise<NetworkHost>
      fill: (file?: string) => void
    }) => Promise<void>,
  ) {
    const files = await workspace()
    await files.plugin('podwire-plugin-x', { code: offering('x', body) })
    const stateDir = join(files.dir, 'small')
    mkdirSync(stateDir, { mode: 0o700 })
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=128k,mode=0700', 'tmpfs', stateDir])
    try {
      const log = recordingLogger()
      await act({
        stateDir,
        log,
        open: () => createNetworkHost({ cwd: files.dir, stateDir, log, config: { networkPlugin: 'x' } }),
        fill: (file = 'filler') =>
          expect(() => writeFileSync(join(stateDir, file), Buffer.alloc(2 ** 20))).toThrow('ENOSPC'),
      })
    } finally {
      // A host that never ends holds its lock open.
      execFileSync('umount', ['--lazy', stateDir])
    }
  }

  test('a full state directory keeps no pod from being mended, though its link is another one then', async () => {
    const body = `checkPod: async () => { throw new Error('its link is gone') },
      setUpPod: async () => ({ ip: '192.0.2.7', interfaces: [{ name: 'eth0', ips: ['192.0.2.7'], mac: '02:00:00:00:00:0' + (globalThis.links = (globalThis.links ?? 0) + 1) }] }),
      capabilities: () => 8,`
    await onSmallDisk(body, async ({ open, fill, log }) => {
      const host = await open()
      const before = await host.setUpPod(web)
      fill()
      const mended = await host.setUpPod(web)
      expect(mended.phase).toBe('ready')
      expect(mended.status).not.toEqual(before.status)
      expect(log.messages('warn').join()).toContain('is mended, but its record')
      await host.tearDownPod(web)
    })
  })

  test('a change that there was room to begin, and none to end, is done', async () => {
    const body = `setUpPod: async ({ annotations }) => {
        globalThis.calls.push('set up ' + JSON.stringify(annotations))
        if (annotations.a === 'b') globalThis.fill()
        return { ip: '192.0.2.7' }
      },`
    await onSmallDisk(body, async ({ open, fill, log, stateDir }) => {
      const host = await open()
      Object.assign(globalThis, { calls: [], fill })
      await host.setUpPod(web)
      const { status, pod } = await host.setUpPod({ ...web, annotations: { a: 'b' } })
      expect(log.messages('warn').join()).toContain('is changed, but its record')
      expect(await host.pod(web)).toMatchObject({ phase: 'ready', pod, status })
      // The next host has it as this one left it.
      rmSync(join(stateDir, 'filler'))
      const next = await open()
      expect(await next.pod(web)).toMatchObject({ phase: 'ready', pod })
      expect(calls()).toEqual(['set up {}', 'set up {"a":"b"}'])
      await next.tearDownPod(web)
    })
  })

  test('a full or read-only state directory keeps no pod from going down, and status says so', async () => {
    await onSmallDisk('', async ({ stateDir, open, fill }) => {
      const host = await open()
      const { pod } = await host.setUpPod(web)
      fill()
      await host.tearDownPod(web)
      expect(existsSync(pod.netns)).toBe(false)
      expect(await host.pods()).toEqual([])
      expect(await host.status()).toMatchObject({ ready: false, reason: expect.stringContaining('no space') })
      fill('more')
      await expect(host.setUpPod(web)).rejects.toMatchObject({ code: 'STATE_UNUSABLE' })
      for (const name of ['filler', 'more']) rmSync(join(stateDir, name))
      await host.setUpPod(web)
      execFileSync('mount', ['-o', 'remount,bind,ro', stateDir])
      await host.tearDownPod(web)
      expect(existsSync(pod.netns)).toBe(false)
      execFileSync('mount', ['-o', 'remount,bind,rw', stateDir])
      expect(await (await open()).pods()).toEqual([])
    })
  })

  test('a tear-down that is cut short on a full disk is finished by the next host, a change refused there is no change', async () => {
    const body = `setUpPod: async ({ annotations }) => { if (annotations.a) throw new Error('not so'); return { ip: '192.0.2.7' } },
      tearDownPod: () => globalThis.stuck ? new Promise(() => {}) : Promise.resolve(void globalThis.calls.push('down')),`
    await onSmallDisk(body, async ({ stateDir, open, fill }) => {
      const host = await open()
      Object.assign(globalThis, { calls: [] })
      const before = await host.setUpPod(web)
      host.events.on('pod:setup:start', () => fill())
      await expect(host.setUpPod({ ...web, annotations: { a: 'b' } })).rejects.toThrow('not so')
      expect(await host.pod(web)).toEqual(before)

      Object.assign(globalThis, { stuck: true })
      void host.tearDownPod(web)
      await expect.poll(() => host.pods()).toMatchObject([{ phase: 'tearing-down' }])
      Object.assign(globalThis, { stuck: false })
      // The lock of a host that was killed is free.
      rmSync(join(stateDir, 'locks'), { recursive: true })
      expect(await (await open()).pods()).toEqual([])
      expect(calls()).toContain('down')
      expect(existsSync(before.pod.netns)).toBe(false)
    }).finally(() => Object.assign(globalThis, { stuck: false }))
  })

  test("pods of a host in another network namespace are not this one's to touch", async () => {
    const { host, stateDir, start } = await hostWith()
    await host.setUpPod(web)
    writeFileSync(join(stateDir, 'host.json'), '{"version":1,"netns":{"dev":4,"ino":1}}')
    await expect(start()).rejects.toMatchObject({ code: 'STATE_ELSEWHERE' })
    await expect(host.tearDownPod(web)).rejects.toMatchObject({ code: 'STATE_ELSEWHERE' })
    rmSync(join(stateDir, 'host.json'))
    await host.tearDownPod(web)
  })

  test('hundreds of dead pods are recovered together', async () => {
    const { host, start } = await hostWith(`tearDownPod: async (pod) => {
      globalThis.beside = (globalThis.beside ?? 0) + 1
      globalThis.most = Math.max(globalThis.most ?? 0, globalThis.beside)
      await new Promise((resolve) => setTimeout(resolve, 5))
      globalThis.beside -= 1
    },`)
    const pods = Array.from({ length: 100 }, (_, i) => ({ namespace: 'default', name: `p${i}` }))
    const records = await Promise.all(pods.map((pod) => host.setUpPod(pod)))
    for (const { pod } of records)
      execFileSync('ip', ['netns', 'delete', pod.netns.slice('/run/netns/'.length)])
    expect(await (await start()).pods()).toEqual([])
    expect((globalThis as { most?: number }).most).toBeGreaterThan(8)
  })

  test('status tells why pods can not be set up, and each change of it', async () => {
    const { host } = await hostWith(
      `status: async () => { if (globalThis.down) throw new Error('no pod CIDR') },`,
    )
    const changes: boolean[] = []
    host.events.on('status:changed', ({ ready }) => changes.push(ready))
    expect(await host.status()).toEqual({ ready: true })
    Object.assign(globalThis, { down: true })
    expect(await host.status()).toEqual({ ready: false, reason: 'no pod CIDR' })
    await host.status()
    Object.assign(globalThis, { down: false })
    expect(changes).toEqual([true, false])
  })
})

test.each<[string, PodRequest, string]>([
  ['a name with a slash', { ...web, name: 'a/b' }, 'name "a/b"'],
  ['a name of dots', { ...web, name: '..' }, 'name ".."'],
  ['a name with a newline', { ...web, name: 'a\nb' }, 'name "a\\nb"'],
  ['a name with NUL', { ...web, name: 'a\0b' }, 'name "a\\u0000b"'],
  ['a name of 300 characters', { ...web, name: 'x'.repeat(300) }, 'must be 1–253'],
  ['an empty namespace', { ...web, namespace: '' }, 'namespace ""'],
  ['a namespace in capitals', { ...web, namespace: 'Default' }, 'namespace "Default"'],
  ['a sandbox id with a slash', { ...web, sandboxId: '../x' }, 'sandbox id "../x"'],
  ['a sandbox id of 300 characters', { ...web, sandboxId: 'x'.repeat(300) }, 'must be 1–128'],
  [
    'a port out of range',
    { ...web, portMappings: [{ hostPort: 70_000, containerPort: 80, protocol: 'tcp' }] },
    'port 70000 in 70000:80/tcp',
  ],
  [
    'a port mapped twice',
    {
      ...web,
      portMappings: [
        { hostPort: 80, containerPort: 80, protocol: 'tcp' },
        { hostPort: 80, containerPort: 81, protocol: 'tcp' },
      ],
    },
    'host port 80/tcp is mapped twice',
  ],
  [
    'a host address that is none',
    { ...web, portMappings: [{ hostPort: 80, containerPort: 80, protocol: 'tcp', hostIP: 'here' }] },
    'must be an IP address',
  ],
  ['a relative netns', { ...web, netns: 'x' }, 'must be an absolute path'],
  ['both a netns and a pid', { ...web, netns: '/x', pid: 1 }, 'not both'],
  [
    'a bandwidth that is none',
    { ...web, annotations: { 'kubernetes.io/ingress-bandwidth': '10X' } },
    '"10X" is not a bandwidth',
  ],
])('a pod with %s is refused before anything happens', async (_name, request, text) => {
  const { host, stateDir } = await hostWith()
  await expect(host.setUpPod(request)).rejects.toMatchObject({
    exitCode: 2,
    message: expect.stringContaining(text),
  })
  expect(existsSync(stateDir)).toBe(false)
  expect(calls()).toEqual([])
})

test('a pod that needs what the plugin can not do is refused, with those that can', async () => {
  const { host, plugin, start, log } = await hostWith()
  const request: PodRequest = {
    ...web,
    portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }],
  }
  await plugin('podwire-plugin-able', { manifest: { apiVersion: 1, capabilities: ['portMappings'] } })
  await host.close()
  await expect((await start()).setUpPod(request)).rejects.toMatchObject({
    code: 'MISSING_CAPABILITY',
    message:
      'Pod default/web needs portMappings, which network plugin "x" doesn\'t do. Installed plugins that can: able.',
  })
  const lenient = await start({ config: { networkPlugin: 'x', onMissingCapability: 'warn' } })
  await lenient.setUpPod({ ...request, netns: '/nowhere' }).catch(() => {})
  expect(
    log.entries.some(({ level, message }) => level === 'warn' && message.includes('needs portMappings')),
  ).toBe(true)
})
