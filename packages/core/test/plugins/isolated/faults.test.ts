import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Pod } from '@podwire/api'
import { isIsolated } from '@podwire/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { offering } from '../../workspace.ts'
import { closeHosts, isolatedHost, pluginProcesses } from './support.ts'

const web = { namespace: 'default', name: 'web' }
const other = { namespace: 'default', name: 'other' }
const told = (what: string) => ({ ...web, annotations: { do: what } })

/** A set-up that does what the pod's annotation says. */
const obeying = `setUpPod: async (pod) => {
  const fs = process.getBuiltinModule('node:fs')
  // A socket that is full says so; whoever means it tries again.
  const say = (text) => {
    const bytes = Buffer.from(text)
    for (let at = 0; at < bytes.length; )
      try { at += fs.writeSync(3, bytes, at) } catch (error) { if (error.code !== 'EAGAIN') throw error }
  }
  const AsyncFunction = (async () => {}).constructor
  await new AsyncFunction('fs', 'say', pod.annotations.do ?? '')(fs, say)
  return { ip: '192.0.2.7' }
},`
const forEver = 'await new Promise(() => setInterval(() => {}, 1000))'

describe.skipIf(!isIsolated())('a plugin in a process of its own that', () => {
  let made: Awaited<ReturnType<typeof isolatedHost>>
  beforeAll(async () => {
    const body = `${obeying}
      init: async (host, { mtu }) => { globalThis.mtu = mtu },
      event: async (name, details) => {
        if (name === 'pod-cidr-change') globalThis.cidr ??= details['pod-cidr']
        if (name === 'turn bad') globalThis.isBad = true
        if (name === 'block') for (;;);
      },
      status: async () => { if (globalThis.isBad) for (;;); },
      getPodNetworkStatus: async () => ({ ip: globalThis.cidr + ' ' + globalThis.mtu }),`
    const deadlines = { setUpPod: '1s', status: '2s', event: '2s' }
    made = await isolatedHost(body, { podCIDR: '10.1.0.0/16', mtu: 1400, deadlines })
  })
  beforeEach(async () => {
    const { host, seen } = made
    await host.resetPlugin('x')
    await host.prune({ all: true })
    for (const event of Object.keys(seen)) Reflect.deleteProperty(seen, event)
  })
  afterAll(closeHosts)

  test.each([
    ['ends its process', 'process.exit(0)', 'exit code 0'],
    [
      'throws where nobody catches it',
      `setImmediate(() => { throw new Error('late') }); ${forEver}`,
      'exit code 1',
    ],
    [
      'blocks its event loop for a minute',
      'for (const end = Date.now() + 60_000; Date.now() < end; );',
      'went on after it was aborted',
    ],
    ['ignores its signal', forEver, 'went on after it was aborted'],
    ['sends 100 MB', "say('x'.repeat(100e6))", 'longer than'],
    ['sends what is no message', `say('hello\\n'); ${forEver}`, "can't be read"],
    [
      'answers a call that is not its own',
      `say(JSON.stringify({ kind: 'answer', id: '1', result: null }) + '\\n'); ${forEver}`,
      'nobody waits for',
    ],
    ['closes the connection', `fs.closeSync(3); ${forEver}`, 'closed the connection'],
    // Straight to the pipe: console.log keeps what the host doesn't take yet, and so ends by its memory on a fast machine.
    [
      'floods its output',
      "for (;;) try { fs.writeSync(1, 'x'.repeat(200) + '\\n') } catch (error) { if (error.code !== 'EAGAIN') throw error }",
      'went on after it was aborted',
    ],
  ])('%s is killed, and does its work again', async (_name, what, how) => {
    const { host, seen, log } = made
    const logged = log.entries.length
    await host.setUpPod(other)
    const before = pluginProcesses()
    const error = await host.setUpPod(told(what)).catch((thrown: unknown) => thrown)
    expect(String((error as Error).message)).toContain('networkPlugin x failed to set up pod "web_default"')
    expect(seen['plugin:crashed']).toMatchObject([
      { plugin: 'x', crashes: 1, error: { code: 'PLUGIN_CRASHED' } },
    ])
    expect(String(seen['plugin:crashed']?.[0]?.error)).toContain(how)
    // Undone by the next process.
    expect((await host.pods()).map(({ pod }) => pod.name)).toEqual(['other'])
    expect(await host.setUpPod(web)).toMatchObject({ status: { ip: '192.0.2.7' } })
    expect(seen['plugin:restarted']).toHaveLength(1)
    const after = pluginProcesses()
    expect(after).toHaveLength(1)
    expect(after).not.toEqual(before)
    // However much it said.
    expect(log.entries.length - logged).toBeLessThan(6000)
  })

  test('answers twice is killed', async () => {
    const { host, seen } = made
    // The first answer counts.
    await host.setUpPod(
      told(`
        const { prototype } = process.getBuiltinModule('node:net').Socket
        const { write } = prototype
        prototype.write = function (line, ...rest) {
          if (String(line).includes('"answer"')) write.call(this, line)
          return write.call(this, line, ...rest)
        }`),
    )
    await expect
      .poll(() => String(seen['plugin:crashed']?.[0]?.error))
      .toContain('answered a call that nobody waits for')
    await expect.poll(() => host.status(), { timeout: 30_000 }).toEqual({ ready: true })
  })

  test.each([
    [
      'on the heap ends',
      'const kept = []; for (;;) kept.push(new Array(1e6).fill(kept.length))',
      /SIG(ABRT|TRAP)/,
    ],
    [
      'beside it ends',
      'const kept = []; try { for (;;) kept.push(Buffer.allocUnsafe(1e8)) } catch { process.abort() }',
      /SIG(ABRT|TRAP)/,
    ],
  ])('allocates without end %s before the machine does', async (_name, what, how) => {
    const { host, seen } = made
    const { manager } = await host.plugin()
    // Longer than the deadline of the other tests.
    await expect(manager.setUpPod(podOf(told(what)))).rejects.toThrow('crashed')
    expect(String(seen['plugin:crashed']?.[0]?.error)).toMatch(how)
    await expect.poll(() => host.status(), { timeout: 30_000 }).toEqual({ ready: true })
  })

  test('blocks during status or an event is killed at the deadline', async () => {
    const { host, seen } = made
    await host.event('turn bad', {})
    expect(await host.status()).toMatchObject({ ready: false })
    await expect.poll(() => seen['plugin:restarted']?.length, { timeout: 30_000 }).toBe(1)
    await expect(host.event('block', {})).rejects.toThrow('not done within 2000 ms')
    await expect.poll(() => seen['plugin:restarted']?.length, { timeout: 30_000 }).toBe(2)
    expect(await host.status()).toEqual({ ready: true })
  })

  test('crashes three times stays down until it is reset, which status says', async () => {
    const { host, seen, log } = made
    const { manager } = await host.plugin()
    await host.event('pod-cidr-change', { 'pod-cidr': '10.2.0.0/16' })
    const crash = () => manager.setUpPod(podOf(told('process.exit(7)')))
    for (let restarts = 0; restarts < 3; restarts++) {
      await expect.poll(() => seen['plugin:restarted']?.length ?? 0, { timeout: 30_000 }).toBe(restarts)
      await expect(crash()).rejects.toThrow('exit code 7')
    }
    expect(seen['plugin:crashed']?.map(({ crashes }) => crashes)).toEqual([1, 2, 3])
    expect(seen['plugin:quarantined']).toMatchObject([{ plugin: 'x', error: { code: 'PLUGIN_QUARANTINED' } }])
    expect(pluginProcesses()).toEqual([])
    expect(await host.status()).toMatchObject({
      ready: false,
      reason: expect.stringMatching(/crashed 3 times within 5 minutes.*exit code 7.*podwire plugins reset x/),
    })
    await expect(crash()).rejects.toMatchObject({ cause: { code: 'PLUGIN_QUARANTINED' } })
    expect(log.messages('error')).toEqual([expect.stringContaining('stays down')])

    expect(await host.resetPlugin('y')).toBe(false)
    expect(await host.resetPlugin('x')).toBe(true)
    expect(await host.resetPlugin('x')).toBe(false)
    expect(await host.status()).toEqual({ ready: true })
    // It was told all that the one before knew.
    const ref = { ...web, sandboxId: 'sb' }
    await expect(manager.getPodNetworkStatus(ref)).rejects.toThrow('10.2.0.0/16 1400')
  })

  test('can not start again stays down', async () => {
    const { host, seen, write } = await isolatedHost(obeying)
    await write('node_modules/podwire-plugin-x/index.js', 'throw new Error("broken by an update")')
    await expect(host.setUpPod(told('process.exit(7)'))).rejects.toThrow('exit code 7')
    await expect.poll(() => seen['plugin:quarantined']?.length, { timeout: 30_000 }).toBe(1)
    expect(await host.status()).toMatchObject({ reason: expect.stringContaining('broken by an update') })
    await write('node_modules/podwire-plugin-x/index.js', offering('x'))
    await host.resetPlugin('x')
    expect(await host.status()).toEqual({ ready: true })
    await host.tearDownPod(web)
    await host.close()
  })

  test('is killed at random instants while pods come and go loses none and leaves nothing', async () => {
    const body = `
      setUpPod: async (pod) => {
        const fs = process.getBuiltinModule('node:fs')
        fs.mkdirSync(globalThis.dir, { recursive: true })
        fs.writeFileSync(globalThis.dir + '/' + pod.sandboxId, '')
        await new Promise((resolve) => setTimeout(resolve, 5))
        return { ip: '192.0.2.7' }
      },
      tearDownPod: async (pod) => {
        await new Promise((resolve) => setTimeout(resolve, 5))
        process.getBuiltinModule('node:fs').rmSync(globalThis.dir + '/' + pod.sandboxId, { force: true })
      },`
    const code = offering('x', body).replace(
      'probe: () =>',
      'probe: ({ stateDir }) => (globalThis.dir = stateDir) &&',
    )
    const { host, seen, stateDir } = await isolatedHost('', {}, code)
    const kept = join(stateDir, 'plugins/x')
    const up = new Set<string>()
    let isOver = false
    const worker = async (id: number) => {
      for (let round = 0; !isOver; round++) {
        const name = `pod-${id}-${round}`
        const pod = { namespace: 'default', name }
        const retry = async (act: () => Promise<unknown>) => {
          for (;;) {
            try {
              return await act()
            } catch {
              await sleep(10)
              await host.resetPlugin('x').catch(() => {})
            }
          }
        }
        await retry(() => host.setUpPod(pod))
        up.add(name)
        if (round % 2 === 0) continue
        await retry(() => host.tearDownPod(pod))
        up.delete(name)
      }
    }
    const workers = Array.from({ length: 8 }, (_, id) => worker(id))
    const kills = 10
    await made.host.close()
    try {
      // One that was killed may be there a little longer.
      const killed = new Set<number>()
      while (killed.size < kills) {
        const alive = () => pluginProcesses().filter((pid) => !killed.has(pid))
        await expect.poll(() => alive().length, { timeout: 30_000 }).toBe(1)
        await sleep(Math.random() * 300)
        for (const pid of alive()) {
          process.kill(pid, 'SIGKILL')
          killed.add(pid)
        }
      }
      await expect
        .poll(() => seen['plugin:crashed']?.length, { timeout: 30_000 })
        .toBeGreaterThanOrEqual(kills)
    } finally {
      isOver = true
      await Promise.all(workers)
    }
    await host.resetPlugin('x')
    const names = (await host.pods()).map(({ pod, phase }) => `${pod.name} ${phase}`).sort()
    expect(names).toEqual([...up].map((name) => `${name} ready`).sort())
    expect(readdirSync(kept)).toHaveLength(up.size)
    await host.prune({ all: true })
    expect(await host.pods()).toEqual([])
    expect(existsSync(kept) ? readdirSync(kept) : []).toEqual([])
    expect(readdirSync('/run/netns')).toEqual([])
    await host.close()
  })

  test('does not outlive its host, though it blocks its event loop', async () => {
    const { host, dir, stateDir, write } = await isolatedHost(obeying)
    await host.close()
    const index = new URL('../../../src/index.ts', import.meta.url).href
    const script = await write(
      'host.mjs',
      `import { createNetworkHost } from '${index}'
       const config = { networkPlugin: 'x', isolation: 'process' }
       const host = await createNetworkHost({ cwd: '${dir}', stateDir: '${stateDir}', config })
       void host.setUpPod(${JSON.stringify(told('for (;;);'))})
       setTimeout(() => console.log('busy'), 300)
       setInterval(() => {}, 1000)`,
    )
    const tsx = import.meta.resolve('tsx')
    const args = ['--conditions=podwire-source', '--import', tsx, script]
    const owner = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    await Promise.race([once(owner.stdout, 'data'), once(owner, 'exit')])
    expect(owner.exitCode).toBeNull()
    const [pid = 0] = pluginProcesses(owner.pid)
    expect(pid).toBeGreaterThan(0)
    owner.kill('SIGKILL')
    await once(owner, 'exit')
    await expect.poll(() => existsSync(`/proc/${pid}`), { timeout: 10_000 }).toBe(false)
  })
})

/** The pod as its plugin is given it. */
function podOf(pod: { namespace: string; name: string; annotations: Record<string, string> }): Pod {
  return { ...pod, sandboxId: 'sb', netns: '/run/netns/sb', portMappings: [] }
}
