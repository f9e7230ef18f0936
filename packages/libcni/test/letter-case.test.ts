// Go matches JSON keys without regard to case, so that what comes from outside may be spelt in any.
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseNetworkConfig, parseNetworkConfigList, parseResult, readKey } from '@podwire/libcni'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { attachment, failureOf, type Playground, playground } from './support/playground.ts'

let play: Playground
beforeEach(async () => {
  play = await playground()
})
afterEach(() => play.remove())

it('of a configuration is of no account, and what nobody here knows goes on as it was spelt', async () => {
  await play.install('one')
  const network = parseNetworkConfigList(
    `{"NAME":"net1","CNIVersion":"1.0.0","DisableCheck":"true","DISABLEGC":true,
      "Plugins":[{"Type":"one","CAPABILITIES":{"a":true},"Example.com/X":{"Y":1},"cniversion":"0.2.0","RuntimeConfig":{}}]}`,
  )
  expect(network).toMatchObject({ name: 'net1', cniVersion: '1.0.0', disableCheck: true, disableGC: true })
  await play.cni.add(network, { ...attachment, capabilityArgs: { a: 1 } })
  const [call] = await play.calls()
  expect(call!.config).toEqual({
    Type: 'one',
    'Example.com/X': { Y: 1 },
    name: 'net1',
    cniVersion: '1.0.0',
    runtimeConfig: { a: 1 },
  })
})

it('of cniVersions and of a single configuration is of no account', () => {
  expect(
    parseNetworkConfigList('{"name":"n","CniVersions":["0.4.0","1.0.0"],"plugins":[{"type":"x"}]}'),
  ).toMatchObject({
    cniVersion: '1.0.0',
  })
  expect(parseNetworkConfig('{"Name":"n","CNIVERSION":"0.4.0","Type":"x"}')).toMatchObject({
    name: 'n',
    cniVersion: '0.4.0',
    type: 'x',
  })
})

it('of a result is of no account', async () => {
  const printed =
    '{"CNIVersion":"1.0.0","Interfaces":[{"Name":"eth0","MAC":"0a:00:00:00:00:01","Sandbox":"/x"}],' +
    '"IPs":[{"Address":"10.9.0.2/24","Gateway":"10.9.0.1","Interface":0}],' +
    '"Routes":[{"Dst":"0.0.0.0/0","GW":"10.9.0.1"}],"DNS":{"Nameservers":["10.9.0.1"],"Search":["a"]}}'
  await play.install('one', { ADD: `echo '${printed}'` })
  const network = parseNetworkConfigList('{"name":"net1","cniVersion":"1.0.0","plugins":[{"type":"one"}]}')
  expect(await play.cni.add(network, attachment)).toEqual({
    cniVersion: '1.0.0',
    interfaces: [{ name: 'eth0', mac: '0a:00:00:00:00:01', sandbox: '/x' }],
    ips: [{ address: '10.9.0.2/24', gateway: '10.9.0.1', interface: 0 }],
    routes: [{ dst: '0.0.0.0/0', gw: '10.9.0.1' }],
    dns: { nameservers: ['10.9.0.1'], search: ['a'] },
  })
  expect(parseResult({ IP4: { IP: '10.0.0.1/8', Gateway: '10.0.0.9' } }, '0.2.0')).toMatchObject({
    ip4: { ip: '10.0.0.1/8', gateway: '10.0.0.9' },
  })
})

it("of a plugin's error and of its versions is of no account", async () => {
  await play.install('one', {
    ADD: `echo '{"Code":11,"Msg":"busy","DETAILS":"come back"}'; exit 1`,
    VERSION: `echo '{"CNIVersion":"1.0.0","SupportedVersions":["0.4.0","1.0.0"]}'`,
  })
  const network = parseNetworkConfigList('{"name":"net1","cniVersion":"1.0.0","plugins":[{"type":"one"}]}')
  const error = await failureOf(play.cni.add(network, attachment))
  expect(error).toMatchObject({
    cniCode: 11,
    details: { pluginMessage: 'busy', pluginDetails: 'come back' },
  })
  expect((await play.cni.version('one')).supportedVersions).toEqual(['0.4.0', '1.0.0'])
})

it('of a cache entry is of no account', async () => {
  await play.install('one')
  await mkdir(join(play.cache, 'results'), { recursive: true })
  const config = Buffer.from('{"Name":"net1","Plugins":[{"Type":"one"}]}').toString('base64')
  await writeFile(
    join(play.cache, 'results/net1-c1-eth0'),
    JSON.stringify({
      KIND: 'cniCacheV1',
      ContainerID: 'c1',
      IFName: 'eth0',
      NetworkName: 'net1',
      Config: config,
      NetNS: '/x',
      CNIArgs: [['A', 'b']],
      CapabilityArgs: { c: 1 },
      Result: { CNIVersion: '0.4.0' },
    }),
  )
  expect(await play.cni.cached('net1', attachment)).toMatchObject({
    netns: '/x',
    args: [['A', 'b']],
    capabilityArgs: { c: 1 },
    result: { cniVersion: '0.4.0' },
  })
  expect((await play.cni.attachments()).corrupt).toEqual([])
  await play.cni.del('net1', attachment)
  expect(await play.order()).toEqual(['one DEL'])
})

it('decides between two spellings: the exact one counts, else the last, as Unicode folds case', () => {
  expect(readKey({ hostport: 0, hostPort: 1, HOSTPORT: 2 }, 'hostPort')).toBe(1)
  expect(readKey({ hostport: 0, HOSTPORT: 2 }, 'hostPort')).toBe(2)
  expect(readKey({ 'ho\u017ftPort': 3 }, 'hostPort')).toBe(3)
  expect(readKey({ '\u212aind': 4 }, 'kind')).toBe(4)
  expect(readKey({ addreß: 5 }, 'address')).toBeUndefined()
  expect(readKey({}, 'constructor')).toBeUndefined()
  const both = '{"name":"exact","Name":"other","plugins":[{"type":"x"}]}'
  expect(parseNetworkConfigList(both).name).toBe('exact')
})
