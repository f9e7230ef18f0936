import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isIsolated } from '@podwire/testing'
import { afterEach, describe, expect, test } from 'vitest'
import { createNetworkHost } from '../src/index.ts'
import { project, withPlugin, withScript } from './podwire.ts'

const run = (file: string, ...args: string[]) => execFileSync(file, args, { encoding: 'utf8' })
const inside = (netns: string, ...command: string[]) => run('nsenter', `--net=${netns}`, ...command)
const serve = "require('net').createServer((s) => s.end('hello')).listen(80, () => console.log('up'))"
const get = (ip = '') =>
  `require('net').connect(80, '${ip}').on('data', (data) => process.stdout.write(data))`
const apart = (files: Record<string, unknown>) => {
  const config = files['podwire.config.json'] as object
  return { ...files, 'podwire.config.json': { ...config, isolation: 'process' } }
}

/** Whose process it is that this one started for a plugin. */
function pluginProcesses(): number[] {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').split(' ').filter(Boolean)
  return children
    .map(Number)
    .filter((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('isolated/child'))
}

describe.skipIf(!isIsolated())('in a process of its own', () => {
  afterEach(() => {
    for (const name of readdirSync('/run/netns')) run('ip', 'netns', 'delete', name)
  })

  test('kubenet connects pods as ever, is killed, and goes on', async () => {
    const { dir } = project()
    const config = { networkPlugin: 'kubenet', podCIDR: '10.88.0.0/24', isolation: 'process' } as const
    const host = await createNetworkHost({ cwd: dir, stateDir: `${dir}/state`, config })
    const pod = (name: string) => ({ namespace: 'default', name })
    const portMappings = [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' as const }]
    const annotations = { 'kubernetes.io/egress-bandwidth': '50M' }
    const [web, client] = await Promise.all([
      host.setUpPod({ ...pod('web'), portMappings, annotations }),
      host.setUpPod(pod('client')),
    ])
    const server = spawn('nsenter', [`--net=${web.pod.netns}`, process.execPath, '-e', serve], {
      stdio: 'pipe',
    })
    await once(server.stdout, 'data')
    expect(inside(client.pod.netns, process.execPath, '-e', get(web.status?.ip))).toBe('hello')
    expect(run('nft', 'list', 'ruleset')).toContain('8080')

    const [first = 0, ...others] = pluginProcesses()
    expect(others).toEqual([])
    process.kill(first, 'SIGKILL')
    await expect.poll(() => host.status(), { timeout: 30_000 }).toEqual({ ready: true })
    expect(pluginProcesses()).not.toEqual([first])
    await host.checkPod(web.pod)
    expect(inside(client.pod.netns, process.execPath, '-e', get(web.status?.ip))).toBe('hello')
    expect((await host.setUpPod(pod('late'))).status?.ip).not.toBe(web.status?.ip)

    server.kill()
    await host.prune({ all: true })
    expect(run('ip', '-brief', 'link').trim().split('\n')).toHaveLength(1)
    expect(readdirSync('/run/netns')).toEqual([])
    await host.close()
    await expect.poll(pluginProcesses).toEqual([])
  })

  test.skipIf(!existsSync('/usr/lib/cni/ptp'))('a CNI configuration connects pods', async () => {
    const { dir } = project({
      'net.d/10-net.conflist': {
        cniVersion: '1.0.0',
        name: 'net',
        plugins: [
          {
            type: 'ptp',
            ipam: { type: 'host-local', ranges: [[{ subnet: '10.77.0.0/24' }]], dataDir: '/run/net' },
          },
        ],
      },
    })
    const host = await createNetworkHost({
      cwd: dir,
      stateDir: `${dir}/state`,
      config: {
        networkPlugin: 'cni',
        isolation: 'process',
        plugins: { cni: { confDir: `${dir}/net.d`, binDirs: ['/usr/lib/cni'] } },
        discovery: { packages: [new URL('../../../plugins/cni', import.meta.url).pathname] },
      },
    })
    const { pod, status } = await host.setUpPod({ namespace: 'default', name: 'web' })
    expect(status?.ip).toMatch(/^10\.77\.0\./)
    expect(inside(pod.netns, 'ip', 'address', 'show', 'eth0')).toContain(status?.ip)
    await host.tearDownPod(pod)
    expect(readdirSync('/run/net/net').filter((name) => name.startsWith('10.'))).toEqual([])
    await host.close()
  })

  test('an exec plugin does as ever on the command line', () => {
    const { dir, podwire } = project(apart(withScript))
    chmodSync(join(dir, 'exec/example.com~script/script'), 0o755)
    expect(podwire('up', 'default/web')).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('192.0.2.7'),
    })
    expect(podwire('down', 'default/web')).toMatchObject({ status: 0, stderr: '' })
    expect(readdirSync('/run/netns')).toEqual([])
  })

  test('the no-op plugin does nothing there, too', async () => {
    const { dir } = project()
    const config = { networkPlugin: '', isolation: 'process' } as const
    const host = await createNetworkHost({ cwd: dir, stateDir: `${dir}/state`, config })
    expect(pluginProcesses()).toHaveLength(1)
    await host.setUpPod({ namespace: 'default', name: 'web' })
    await host.prune({ all: true })
    await host.close()
  })

  test('a plugin that ends its process fails a command and no more; there is nothing to reset afterwards', () => {
    const { podwire } = project(apart(withPlugin('setUpPod: async () => process.exit(3),')))
    const { status, stderr } = podwire('up', 'default/web')
    expect(status).toBe(1)
    expect(stderr).toContain('The process of network plugin "odd" crashed: it ended with exit code 3')
    expect(podwire('ps', '--json').stdout.trim()).toBe('[]')
    expect(readdirSync('/run/netns')).toEqual([])
    expect(podwire('plugins', 'reset', 'odd')).toMatchObject({
      status: 0,
      stdout: 'odd is not down: there is nothing to reset\n',
    })
  })

  test('a plugin does not hear the Ctrl-C that its host undoes its work for', async () => {
    const { podwire, start } = project(
      apart(
        withPlugin(`setUpPod: (pod, signal) => new Promise((resolve, reject) => {
          console.error('at work')
          signal.addEventListener('abort', () => { console.error('undone'); reject(signal.reason) })
        }),`),
      ),
    )
    const child = start('up', 'default/web')
    let stderr = ''
    child.stderr?.on('data', (chunk) => {
      stderr += chunk
    })
    await expect.poll(() => stderr, { timeout: 30_000 }).toContain('odd: at work')
    child.kill('SIGINT')
    await expect.poll(() => child.exitCode, { timeout: 30_000 }).toBe(130)
    expect(stderr).toContain('odd: undone')
    expect(podwire('ps', '--json').stdout.trim()).toBe('[]')
  })
})
