import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { isIsolated, useNetns } from '@podwire/testing'
import { build } from 'esbuild'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const run = promisify(execFile)
const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8')
const [chain = '', plugin = ''] = [...readme.matchAll(/```ts\n(.*?)```/gs)].map(([, code]) => code!)
const can = isIsolated() && existsSync('/usr/lib/cni/bridge')
if (!can) console.warn('the samples of the README are not run: they need /usr/lib/cni/bridge and namespaces')

it.each([
  ['a chain in ten lines', chain, 'cni.add(', 10],
  ['a plugin in twenty', plugin, 'cniMain(', 20],
])('%s', (_, code, heart, limit) => {
  expect(code).toContain(heart)
  expect(code.trim().split('\n').length).toBeLessThanOrEqual(limit)
})

describe.runIf(can)('the samples', () => {
  const namespaces = useNetns()
  let directory: string
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'podwire-readme-'))
  })
  afterEach(async () => {
    await namespaces.removeAll()
    await rm(directory, { recursive: true, force: true })
  })

  it('run: the plugin in a chain with others', async () => {
    const netns = await namespaces.add()
    const alias = await compile(plugin, 'alias')
    await chmod(alias, 0o755)
    const plugins = join(directory, 'plugins')
    await mkdir(plugins)
    for (const name of ['bridge', 'host-local', 'portmap'])
      await copyFile(`/usr/lib/cni/${name}`, join(plugins, name))
    await copyFile(alias, join(plugins, 'alias'))
    const ipam = {
      type: 'host-local',
      dataDir: join(directory, 'ipam'),
      ranges: [[{ subnet: '10.81.0.0/24' }]],
    }
    await mkdir(join(directory, 'net.d'))
    await writeFile(
      join(directory, 'net.d/10.conflist'),
      JSON.stringify({
        name: 'web',
        cniVersion: '1.0.0',
        plugins: [
          { type: 'bridge', bridge: 'cni-readme', isGateway: true, ipam },
          { type: 'alias' },
          { type: 'portmap', capabilities: { portMappings: true } },
        ],
      }),
    )
    // The sample, on directories of the test's own, looking at the link between ADD and DEL.
    const sample = chain
      .replace("['/usr/lib/cni']", `['${plugins}'], cacheDirectory: '${join(directory, 'cache')}'`)
      .replace('/etc/cni/net.d', join(directory, 'net.d'))
      .replace('/run/netns/pod1', netns.path)
      .replace(
        'await cni.del',
        'await cni.check(network, attachment).catch((e) => { if (e.details.plugin !== "portmap") throw e })\nawait new Promise((resolve) => process.stdin.once("data", resolve))\nconsole.log("checked")\nawait cni.del',
      )
    for (const path of [plugins, join(directory, 'cache'), join(directory, 'net.d'), netns.path, 'checked'])
      expect(sample, 'the sample has changed: adapt the replacements above').toContain(path)
    const program = await compile(sample, 'chain')
    const child = run(process.execPath, [program])
    await new Promise((resolve) => child.child.stdout!.once('data', resolve))
    expect(await netns.ip('link', 'show', 'dev', 'eth0')).toMatchObject([{ ifalias: 'network web' }])
    child.child.stdin!.end('go on')
    const { stdout } = await child
    expect(stdout).toContain("address: '10.81.0.2/24'")
    expect(stdout).toContain('checked')
    expect(await netns.ip('link', 'show')).not.toContainEqual(expect.objectContaining({ ifname: 'eth0' }))
    expect((await readdir(join(directory, 'ipam/web'))).filter((name) => name.startsWith('10.'))).toEqual([])
  })

  async function compile(contents: string, name: string): Promise<string> {
    const outfile = join(directory, `${name}.mjs`)
    const stdin = { contents, resolveDir: import.meta.dirname, loader: 'ts' } as const
    await build({
      stdin,
      outfile,
      bundle: true,
      platform: 'node',
      format: 'esm',
      conditions: ['podwire-source'],
    })
    return outfile
  }
})
