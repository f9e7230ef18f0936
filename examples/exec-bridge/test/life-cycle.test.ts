import { execFile, execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { promisify } from 'node:util'
import { createNetworkHost, inSandbox } from '@podwire/core'
import { isIsolated, recordingLogger } from '@podwire/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const log = recordingLogger()
const configFile = new URL('../podwire.config.json', import.meta.url).pathname
const ip = (...args: string[]) => execFileSync('ip', args, { encoding: 'utf8' })
const serve = (text: string) => createServer((_request, response) => response.end(text)).listen(8080)

describe.skipIf(!isIsolated())('pods of the exec-bridge example', () => {
  let host: Awaited<ReturnType<typeof createNetworkHost>>
  beforeAll(async () => {
    host = await createNetworkHost({ configFile, stateDir: '/run/exec-bridge-test', log })
  })
  afterAll(() => host.close())

  test('get addresses, reach each other and the gateway, and leave no trace', async () => {
    const web = await host.setUpPod({ namespace: 'default', name: 'web' })
    const client = await host.setUpPod({ namespace: 'default', name: 'client' })
    expect([web.status?.ip, client.status?.ip]).toEqual(['10.88.0.2', '10.88.0.3'])
    const fetchFrom = (url: string) => `fetch('${url}').then((r) => r.text()).then(console.log)`
    const inWeb = await inSandbox(web, () => serve('the pod'))
    const inHost = serve('the gateway')
    const fromClient = (url: string) =>
      promisify(execFile)('ip', [
        'netns',
        'exec',
        client.pod.sandboxId,
        process.execPath,
        '-e',
        fetchFrom(url),
      ])
    expect((await fromClient('http://10.88.0.2:8080')).stdout).toBe('the pod\n')
    expect((await fromClient('http://10.88.0.1:8080')).stdout).toBe('the gateway\n')
    inWeb.close()
    inHost.close()
    expect(await host.setUpPod({ namespace: 'default', name: 'web' })).toEqual(web)
    await host.tearDownPod({ namespace: 'default', name: 'web' })
    await host.tearDownPod({ namespace: 'default', name: 'client' })
    await host.tearDownPod({ namespace: 'default', name: 'client' })
    expect(ip('-br', 'link')).not.toContain('pwbr0')
    expect(ip('netns', 'list')).not.toContain(web.pod.sandboxId)
    expect(ip('netns', 'list')).not.toContain(client.pod.sandboxId)
    expect(existsSync('/run/podwire-example-bridge')).toBe(false)
  })

  test('that come and go at once never share an address', async () => {
    const names = Array.from({ length: 12 }, (_, index) => ({ namespace: 'default', name: `pod-${index}` }))
    const pods = await Promise.all(names.map((name) => host.setUpPod(name)))
    expect(new Set(pods.map((pod) => pod.status?.ip)).size).toBe(names.length)
    await Promise.all(names.map((name) => host.tearDownPod(name)))
    expect(ip('-br', 'link')).not.toContain('pwbr0')
    expect(existsSync('/run/podwire-example-bridge')).toBe(false)
  })
})

test.skipIf(!isIsolated())(
  'the commands of the README, in namespaces as its first line makes',
  async () => {
    const root = new URL('../../..', import.meta.url).pathname
    const readme = readFileSync(`${root}examples/exec-bridge/README.md`, 'utf8')
    const [, commands = ''] = /```sh\n(.*?)```/s.exec(readme) ?? []
    const [enter, ...rest] = commands.split('\n')
    expect(enter).toContain('unshare')
    const { stdout } = await promisify(execFile)('sh', ['-ec', rest.join('\n')], { cwd: root })
    expect(stdout).toMatch(/default via 10\.88\.0\.1 dev eth0/)
    expect(ip('-br', 'link')).not.toContain('pwbr0')
  },
  120_000,
)
