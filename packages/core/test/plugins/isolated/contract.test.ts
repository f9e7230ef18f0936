import { existsSync, readdirSync } from 'node:fs'
import { Capability, messageOf } from '@podwire/api'
import { isIsolated } from '@podwire/testing'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { validateConfiguration } from '../../../src/plugins/validate.ts'
import { offering } from '../../workspace.ts'
import { closeHosts, isolatedHost, pluginProcesses } from './support.ts'

const web = { namespace: 'default', name: 'web' }
const fails = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  )

const plain = `
  init: async (host, options) => { globalThis.host = host; globalThis.ran = true },
  setUpPod: async (pod, signal) => {
    const { host } = globalThis
    if (pod.annotations.be === 'waiting') await new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(new Error('undone: ' + signal.reason.message)))
    })
    if (pod.annotations.be === 'failing') {
      const cause = Object.assign(new Error('no space left'), { code: 'ENOSPC' })
      throw Object.assign(new Error('no address left', { cause }), { code: 'FULL', details: { pod: pod.name }, exitCode: 2 })
    }
    if (pod.annotations.be === 'asking') {
      const netns = await host.getNetNS(pod.sandboxId)
      const ports = await host.getPodPortMappings(pod.sandboxId)
      const unknown = await host.getNetNS('nobody').catch((error) => error.code)
      throw new Error(JSON.stringify({ netns, ports, unknown, legacy: host.supportsLegacyFeatures(), kube: host.getKubeClient() ?? null }))
    }
    return { ip: '192.0.2.7', interfaces: [{ name: 'eth0', ips: ['192.0.2.7'], mac: String(process.pid) }] }
  },
  getPodNetworkStatus: async (pod) => {
    const known = await globalThis.host.getPodByName(pod.namespace, pod.name)
    return { ip: known ? '192.0.2.8' : '' }
  },
  tearDownPod: async (pod) => { globalThis.host.report('gone', { name: pod.name, odd: 7n }) },
  capabilities: () => globalThis.can ?? ${Capability.check | Capability.portMappings},
  event: async (name) => { if (name === 'more') globalThis.can = ${Capability.check | Capability.gc} },
  checkPod: async () => { throw new Error('checked') },
  collectGarbage: async (ids) => { throw new Error('collected ' + ids.length) },
  status: async () => {
    console.log('a line'); console.error('\\u001b[31mred'); process.stdout.write('no end')
    setTimeout(() => { globalThis.can = 0 }, 10)
    throw new Error(Object.keys(process.env).sort().join())
  },`

describe.skipIf(!isIsolated())('a plugin in a process of its own', () => {
  let made: Awaited<ReturnType<typeof isolatedHost>>
  beforeAll(async () => {
    process.env['SECRET_TOKEN'] = 'hidden'
    const code = offering('x', plain).replace(
      'probe: () =>',
      `probe: ({ log }) => log.warn('from its logger', { big: 7n }) ||`,
    )
    made = await isolatedHost('', { podCIDR: '10.1.0.0/16' }, code)
  })
  afterEach(() => made.host.prune({ all: true }))
  afterAll(closeHosts)

  test('does what it does in the process of its host, and nothing of it runs there', async () => {
    const { host, seen } = made
    const record = await host.setUpPod(web)
    const [pid] = pluginProcesses()
    expect(record.status).toMatchObject({ ip: '192.0.2.7', interfaces: [{ mac: String(pid) }] })
    const { manager } = await host.plugin()
    const ref = { ...web, sandboxId: record.pod.sandboxId }
    expect(await manager.getPodNetworkStatus(ref)).toMatchObject({ ip: '192.0.2.8' })
    await host.tearDownPod(web)
    expect(seen['plugin:report']).toEqual([
      { plugin: 'x', event: 'gone', details: { name: 'web', odd: '7n' } },
    ])
    expect(globalThis).not.toHaveProperty('ran')
    expect(readdirSync('/run/netns')).toEqual([])
  })

  test('has its errors arrive with code, details and cause', async () => {
    const { host } = made
    expect(await fails(host.setUpPod({ ...web, annotations: { be: 'failing' } }))).toMatchObject({
      code: 'PLUGIN_OPERATION_FAILED',
      exitCode: 2,
      cause: {
        code: 'FULL',
        details: { pod: 'web' },
        message: 'no address left',
        cause: { code: 'ENOSPC', message: 'no space left' },
      },
    })
  })

  test('has what it asks of its host answered, and refused', async () => {
    const portMappings = [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' as const }]
    const error = await fails(made.host.setUpPod({ ...web, portMappings, annotations: { be: 'asking' } }))
    const { cause } = error as { cause: Error }
    expect(JSON.parse(cause.message)).toEqual({
      netns: expect.stringMatching(/^\/run\/netns\//),
      ports: portMappings,
      unknown: 'UNKNOWN_SANDBOX',
      legacy: true,
      kube: null,
    })
  })

  test('has its signal abort with that of whoever called', async () => {
    const { host, seen } = made
    const controller = new AbortController()
    const { signal } = controller
    const setUp = fails(host.setUpPod({ ...web, annotations: { be: 'waiting' } }, { signal }))
    setTimeout(() => controller.abort(new Error('the user went away')), 50)
    expect(messageOf(await setUp)).toContain('the user went away')
    expect(seen['plugin:crashed']).toBeUndefined()
    expect(await host.pods()).toEqual([])
  })

  test('announces what it can do, as that changes, and what it implements besides', async () => {
    const { host } = made
    const { manager, capabilities } = await host.plugin()
    expect(capabilities()).toEqual(['portMappings', 'check'])
    await host.setUpPod(web)
    await expect(host.checkPod(web)).rejects.toThrow('checked')
    await host.collectGarbage()
    await host.event('more', {})
    expect(capabilities()).toEqual(['check', 'gc'])
    await expect(host.collectGarbage()).rejects.toThrow('collected 1')
    // By itself, while nobody asks.
    await manager.notReady()
    await expect.poll(capabilities, { timeout: 10_000 }).toEqual([])
  })

  test('sees little of the environment of its host', async () => {
    const readiness = await made.host.status()
    const names = readiness.ready ? [] : readiness.reason.split(',')
    expect(names).toContain('PATH')
    const others = names.filter(
      (name) => !/^(PATH|HOME|USER|LOGNAME|LANG|LANGUAGE|LC_.*|TZ|TMPDIR)$/.test(name),
    )
    expect(others).toEqual([])
  })

  test('writes to the log, under its name and without control characters; its logger too', async () => {
    const { host, log } = made
    await host.status()
    await expect.poll(() => log.messages('info')).toContain('x: a line')
    await expect.poll(() => log.messages('warn')).toContain('x: \\u001b[31mred')
    const entry = { level: 'warn', message: 'from its logger', details: { big: '7n' } }
    expect(log.entries).toContainEqual(entry)
    await host.close()
    await expect.poll(() => pluginProcesses()).toEqual([])
    await expect.poll(() => log.messages('info')).toContainEqual(expect.stringContaining('no end'))
  })
})

describe.skipIf(!isIsolated())('a plugin package in a process of its own', () => {
  afterEach(closeHosts)

  test('has its options looked at by its own schema, which may change them', async () => {
    const schema = `{ '~standard': { version: 1, vendor: 'test', validate: (value) =>
      typeof value.bridge === 'string' ? { value: { bridge: new RegExp(value.bridge) } }
        : { issues: [{ message: 'expected a string', path: ['bridge'] }] } } }`
    const code = offering(
      'x',
      `status: async () => { throw new Error(String(globalThis.given.bridge.source)) },`,
    ).replace('probe: () =>', `options: ${schema}, probe: ({ options }) => (globalThis.given = options) &&`)
    const { host, dir } = await isolatedHost('', { plugins: { x: { bridge: 'br.' } } }, code)
    expect(await host.status()).toEqual({ ready: false, reason: 'br.' })
    const { catalog, configuration } = host
    await validateConfiguration(configuration, catalog)
    const wrong = { ...configuration.config, plugins: { x: { bridge: 7 } } }
    const { createPluginCatalog } = await import('../../../src/plugins/catalog.ts')
    const other = await createPluginCatalog({
      configuration: { ...configuration, config: wrong },
      log: { debug() {}, info() {}, warn() {}, error() {} },
    })
    await expect(validateConfiguration({ config: wrong, file: undefined }, other)).rejects.toMatchObject({
      code: 'PLUGIN_OPTIONS_INVALID',
      message: expect.stringContaining('plugins["x"].bridge: expected a string, got 7'),
    })
    await expect(other.load('x')).rejects.toMatchObject({ code: 'PLUGIN_OPTIONS_INVALID' })
    expect(globalThis).not.toHaveProperty('given')
    expect(dir).toBeDefined()
    await expect.poll(() => pluginProcesses().length).toBe(1)
  })

  test('fails the start where it fails to load, as it would without, and leaves no process', async () => {
    await expect(isolatedHost('', {}, 'throw new Error("broken at import")')).rejects.toMatchObject({
      code: 'PLUGIN_IMPORT_FAILED',
      message: expect.stringContaining('broken at import'),
    })
    await expect(isolatedHost(`init: async () => { throw new Error('not here') },`)).rejects.toThrow(
      'not here',
    )
    await expect(isolatedHost('', {}, 'process.exit(0)')).rejects.toMatchObject({ code: 'PLUGIN_CRASHED' })
    await expect.poll(() => pluginProcesses()).toEqual([])
  })

  test('runs apart only where the configuration says so', async () => {
    const counts: number[] = []
    for (const isolation of ['none', 'third-party', { x: 'process' }, { x: 'none' }] as const) {
      const { host } = await isolatedHost('', { isolation })
      counts.push(pluginProcesses().length)
      await host.close()
    }
    expect(counts).toEqual([0, 1, 1, 0])
    const { host, stateDir } = await isolatedHost()
    const wrong = { ...host.configuration.config, isolation: { y: 'process' } as const }
    await expect(
      validateConfiguration({ config: wrong, file: undefined }, host.catalog),
    ).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      details: { problems: [{ path: 'isolation.y' }] },
    })
    expect(existsSync(stateDir)).toBe(false)
  })
})
