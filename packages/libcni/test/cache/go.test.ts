import { execFile, spawnSync } from 'node:child_process'
import { cp, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type CniVersion, convertResult, parseNetworkConfigList } from '@podwire/libcni'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { buildAdder } from '../support/adder.ts'
import { attachment, type Playground, playground } from '../support/playground.ts'

const run = promisify(execFile)
const program = new URL('go/main.go', import.meta.url).pathname
const fixtures = new URL('fixtures/', import.meta.url).pathname
const goTool = 'go'
const goEnv = { ...process.env, GO111MODULE: 'off', GOPATH: '/usr/share/gocode', GOFLAGS: '' }
const hasGo =
  spawnSync(goTool, ['list', 'github.com/containernetworking/cni/libcni'], { env: goEnv }).status === 0
if (!hasGo)
  console.warn("reading what Go writes goes by files written before: Go or its libcni isn't installed")

let play: Playground
beforeEach(async () => {
  play = await playground()
  await play.install('one', { ADD: `echo '${printed}'` })
})
afterEach(() => play.remove())

const printed =
  '{"cniVersion":"0.4.0","interfaces":[{"name":"eth0","sandbox":"/run/netns/c1"}],"ips":[{"version":"4","interface":0,"address":"10.9.0.2/24"}],"routes":[{"dst":"0.0.0.0/0"}],"dns":{}}'
const told = {
  args: [
    ['K8S_POD_NAME', 'pod'],
    ['IgnoreUnknown', '1'],
  ] as const,
  capabilityArgs: { portMappings: [{ hostPort: 8080 }] },
}
const versions = ['0.2.0', '0.3.1', '0.4.0', '1.0.0'] as const
const network = (cniVersion: string) =>
  parseNetworkConfigList(
    `{"name":"net1","cniVersion":"${cniVersion}","plugins":[{"type":"one","key":"value"}]}`,
  )

async function expectToRead(cniVersion: CniVersion) {
  const cached = (await play.cni.cached('net1', attachment))!
  expect(cached).toMatchObject({ network: 'net1', containerId: 'c1', ifName: 'eth0', ...told })
  expect(cached.config).toEqual(network(cniVersion))
  expect(convertResult(cached.result!, '0.4.0')).toMatchObject({
    ips: [{ version: '4', address: '10.9.0.2/24' }],
  })
  await play.cni.del('net1', attachment)
  const call = (await play.calls()).at(-1)!
  expect(call).toMatchObject({ command: 'DEL', config: { name: 'net1', cniVersion, key: 'value' } })
  expect(call.env['CNI_ARGS']).toBe('K8S_POD_NAME=pod;IgnoreUnknown=1')
  expect(await play.cacheFiles()).toEqual([])
}

// Written by the program beside this test.
it.each(versions)("reads what Go's libcni wrote in %s", async (cniVersion) => {
  await mkdir(join(play.cache, 'results'), { recursive: true })
  await cp(join(fixtures, `${cniVersion}.entry`), join(play.cache, 'results/net1-c1-eth0'))
  await expectToRead(cniVersion)
})

describe.runIf(hasGo)('beside the Go library itself', () => {
  let go: string
  let builder: Playground
  beforeAll(async () => {
    builder = await playground()
    go = join(builder.directory, 'go-libcni')
    await run(goTool, ['build', '-o', go, program], {
      env: { ...goEnv, GOCACHE: join(builder.directory, 'cache') },
    })
  }, 180_000)
  afterAll(() => builder.remove())

  it.each(versions)('what it writes in %s is read', async (cniVersion) => {
    await run(go, ['write', play.directory, cniVersion])
    const written = await readFile(join(play.cache, 'results/net1-c1-eth0'), 'utf8')
    expect(JSON.parse(written)).toEqual(
      JSON.parse(await readFile(join(fixtures, `${cniVersion}.entry`), 'utf8')),
    )
    await expectToRead(cniVersion)
  })

  it.each(versions)('it reads what is written in %s, and takes the attachment down', async (cniVersion) => {
    const result = await play.cni.add(network(cniVersion), { ...attachment, ...told })
    const { stdout } = await run(go, ['read', play.directory, cniVersion])
    const read = JSON.parse(stdout)
    // Since 1.0.0 an empty dns is left out; this Go library still writes it.
    const expected = convertResult(result, cniVersion)
    expect(read.result).toEqual('dns' in expected ? expected : { ...expected, dns: {} })
    expect(JSON.parse(read.config)).toEqual(network(cniVersion).raw)
    expect(read).toMatchObject(told)
    expect(await play.order()).toEqual(['one ADD', 'one DEL'])
    expect(await play.cni.attachments()).toEqual({ attachments: [], corrupt: [] })
  })

  it('it stands the entry of an ADD that never ended', async () => {
    await play.install('one', { ADD: 'kill -9 $PPID; sleep 5' })
    await addInChild(play).catch(() => {})
    const { stdout } = await run(go, ['read', play.directory, '1.0.0'])
    expect(JSON.parse(JSON.parse(stdout).config)).toEqual(network('1.0.0').raw)
    expect(await play.cacheFiles()).toEqual([])
  })
})

async function addInChild({ directory, plugins, cache }: Playground) {
  await run(process.execPath, [await buildAdder(directory), plugins, cache, 'c1'])
}
