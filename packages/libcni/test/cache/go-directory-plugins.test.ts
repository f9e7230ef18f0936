import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type JsonObject, loadNetwork, type NetworkConfigList } from '@podwire/libcni'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { attachment, failureOf, type Playground, playground } from '../support/playground.ts'

const result = { cniVersion: '1.0.0', ips: [{ address: '10.9.0.2/24' }] }

let play: Playground
beforeEach(async () => {
  play = await playground()
  for (const name of ['one', 'two']) await play.install(name)
})
afterEach(() => play.remove())

// Go's libcni runs what is in the network's directory, and writes down the list as the file has it, without.
async function addedByGo(list: JsonObject): Promise<NetworkConfigList> {
  const file = { name: 'net1', cniVersion: '1.0.0', ...list }
  await writeFile(join(play.configs, '10.conflist'), JSON.stringify(file))
  await mkdir(join(play.configs, 'net1'))
  await writeFile(join(play.configs, 'net1/20.conf'), '{"type":"two"}')
  await mkdir(join(play.cache, 'results'), { recursive: true })
  const entry = {
    kind: 'cniCacheV1',
    containerId: 'c1',
    config: Buffer.from(JSON.stringify(file)).toString('base64'),
    ifName: 'eth0',
    networkName: 'net1',
    result,
  }
  await writeFile(join(play.cache, 'results/net1-c1-eth0'), JSON.stringify(entry))
  return loadNetwork(play.configs, 'net1')
}

const lists: [string, JsonObject, string[]][] = [
  ['beside the list', { plugins: [{ type: 'one' }] }, ['two DEL', 'one DEL']],
  ['alone', {}, ['two DEL']],
]

it.each(lists)(
  "DEL runs the plugins of the network's directory %s, with the result",
  async (_, list, order) => {
    const network = await addedByGo(list)
    await play.cni.del(network, attachment)
    expect(await play.order()).toEqual(order)
    for (const { config } of await play.calls()) expect(config['prevResult']).toEqual(result)
    expect(await play.cacheFiles()).toEqual([])
  },
)

it.each(lists)('GC runs them %s too', async (_, list, order) => {
  const network = await addedByGo(list)
  await play.cni.gc(network, [])
  expect(await play.order()).toEqual(order)
  expect(await play.cacheFiles()).toEqual([])
})

it.each(lists)('CHECK has the result of a list with plugins %s', async (_, list) => {
  const network = await addedByGo(list)
  await play.cni.check(network, attachment)
  for (const { config } of await play.calls()) expect(config['prevResult']).toEqual(result)
})

it('DEL by name alone says that it needs the configuration where none was written down', async () => {
  await addedByGo({})
  const error = await failureOf(play.cni.del('net1', attachment))
  expect(error.message).toContain("give DEL the network's configuration")
  expect(await play.cacheFiles()).toEqual(['net1-c1-eth0'])
})

it('what this library wrote is the whole list, whatever has come into the directory since', async () => {
  await writeFile(
    join(play.configs, '10.conflist'),
    '{"name":"net1","cniVersion":"1.0.0","plugins":[{"type":"one"}]}',
  )
  await play.cni.add(await loadNetwork(play.configs, 'net1'), attachment)
  await mkdir(join(play.configs, 'net1'))
  await writeFile(join(play.configs, 'net1/20.conf'), '{"type":"two"}')
  await play.cni.del(await loadNetwork(play.configs, 'net1'), attachment)
  expect(await play.order()).toEqual(['one ADD', 'one DEL'])
})
