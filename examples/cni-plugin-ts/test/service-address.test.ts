import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import {
  type CNI,
  createCni,
  type JsonObject,
  parseNetworkConfig,
  parseNetworkConfigList,
} from '@podwire/libcni'
import { isIsolated, type TestNetns, useNetns } from '@podwire/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const root = new URL('../../..', import.meta.url).pathname
const can = isIsolated() && existsSync('/usr/lib/cni/bridge')
if (!can) console.warn('the TypeScript plugin is not tested: it takes /usr/lib/cni/bridge and namespaces')

describe.runIf(can)('a CNI plugin in TypeScript', () => {
  const namespaces = useNetns()
  let directory: string
  let netns: TestNetns
  let cni: CNI
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'podwire-cni-plugin-'))
    const program = join(directory, 'service-address')
    const source = `${root}examples/cni-plugin-ts/service-address.ts`
    await writeFile(
      program,
      `#!/bin/sh\nexec '${process.execPath}' --import '${root}.dev/run-source.mjs' '${source}'\n`,
    )
    await chmod(program, 0o755)
    cni = createCni({
      pluginDirectories: [directory, '/usr/lib/cni'],
      cacheDirectory: join(directory, 'cache'),
    })
    netns = await namespaces.add()
  })
  afterEach(async () => {
    await namespaces.removeAll()
    await rm(directory, { recursive: true })
  })

  const pod = () => ({ containerId: 'pod1', ifName: 'eth0', netns: netns.path })
  const chain = (service: JsonObject, last: JsonObject = {}) =>
    parseNetworkConfigList(
      JSON.stringify({
        name: 'served',
        cniVersion: '1.0.0',
        plugins: [
          {
            type: 'bridge',
            bridge: 'cni-served',
            isGateway: true,
            ipam: {
              type: 'host-local',
              dataDir: join(directory, 'ipam'),
              ranges: [[{ subnet: '10.79.0.0/24' }]],
            },
          },
          { type: 'service-address', addresses: ['169.254.169.254/32', 'fd00:ec2::254/128'], ...service },
          { type: 'tuning', dataDir: join(directory, 'tuning'), mtu: 1400, ...last },
        ],
      }),
    )
  const linkNames = async () => (await netns.ip('link', 'show')).map(({ ifname }) => ifname)

  it('does its part in the middle of a chain', async () => {
    await cni.validate(chain({}))
    const result = await cni.add(chain({}), pod())
    expect(result).toMatchObject({
      cniVersion: '1.0.0',
      interfaces: [
        { name: 'cni-served' },
        expect.anything(),
        { name: 'eth0', sandbox: netns.path },
        { name: 'service0', sandbox: netns.path, mac: expect.stringMatching(/^([0-9a-f]{2}:){5}/) },
      ],
      ips: [{ address: '10.79.0.2/24', interface: 2 }],
    })
    expect(await netns.ip('link', 'show', 'dev', 'eth0')).toMatchObject([{ mtu: 1400 }])
    for (const address of ['169.254.169.254', 'fd00:ec2::254'])
      expect(await servedAndFetched(netns, address)).toBe('the metadata')
    await cni.check(chain({}), pod())

    await cni.del(chain({}), pod())
    expect(await linkNames()).toEqual(['lo'])
    await cni.del(chain({}), pod())
  })

  it('sees in CHECK what ADD made and somebody undid', async () => {
    await cni.add(chain({}), pod())
    await netns.run('ip', 'addr', 'del', '169.254.169.254/32', 'dev', 'service0')
    await expect(cni.check(chain({}), pod())).rejects.toMatchObject({
      cniCode: 100,
      message: expect.stringContaining('link service0 has lost 169.254.169.254/32'),
    })
    await netns.run('ip', 'link', 'del', 'service0')
    await expect(cni.check(chain({}), pod())).rejects.toThrow('link service0 is missing')
    await cni.del(chain({}), pod())
  })

  it('is undone when a plugin after it fails, and leaves a link that it did not make', async () => {
    await expect(cni.add(chain({}, { sysctl: { 'net.no.such.key': '1' } }), pod())).rejects.toMatchObject({
      details: { plugin: 'tuning' },
    })
    expect(await linkNames()).toEqual(['lo'])
    await netns.run('ip', 'link', 'add', 'service0', 'type', 'bridge')
    await expect(cni.add(chain({}), pod())).rejects.toThrow('EEXIST')
    expect(await linkNames()).toEqual(['lo', 'service0'])
  })

  it('leaves no link behind whose addresses the kernel refuses', async () => {
    const twice = chain({ addresses: ['169.254.169.254/32', '169.254.169.254/32'] })
    await expect(cni.add(twice, pod())).rejects.toThrow('EEXIST')
    expect(await linkNames()).toEqual(['lo'])
  })

  it.each([[[]], ['169.254.169.254/32'], [['169.254.169.254']]])(
    'refuses %j for addresses',
    async (addresses) => {
      const alone = parseNetworkConfig(
        JSON.stringify({ name: 'refused', cniVersion: '1.0.0', type: 'service-address', addresses }),
      )
      await expect(cni.add(alone, pod())).rejects.toMatchObject({
        cniCode: 7,
        message: expect.stringContaining('addresses is not a list of addresses with prefix length'),
      })
    },
  )

  it('has nothing to do for a namespace that is gone', async () => {
    await cni.add(chain({}), pod())
    await namespaces.removeAll()
    await cni.del(chain({}), pod())
  })
})

// What a client inside the namespace reads from a server inside it.
async function servedAndFetched(netns: TestNetns, address: string): Promise<string> {
  const program = `const net = require('node:net')
    const server = net.createServer((s) => s.end('the metadata')).listen(80, '${address}', () =>
      net.connect(80, '${address}').on('data', (d) => process.stdout.write(d)).on('close', () => server.close()))`
  const { stdout } = await promisify(execFile)(
    'ip',
    ['netns', 'exec', netns.name, process.execPath, '-e', program],
    { timeout: 10_000 },
  )
  return stdout
}
