import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { loadNetwork, loadNetworks, parseNetworkConfigList, readNetworkFile } from '@podwire/libcni'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { attachment, failureOf, type Playground, playground } from '../support/playground.ts'

let play: Playground
beforeEach(async () => {
  play = await playground()
})
afterEach(() => play.remove())

const write = async (files: Record<string, string>) => {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(join(play.configs, name, '..'), { recursive: true })
    await writeFile(join(play.configs, name), text)
  }
}
const list = (name: string, type = 'x') => JSON.stringify({ name, plugins: [{ type }] })
const single = (name: string, type = 'x') => JSON.stringify({ name, type })
const found = async (name: string) => (await loadNetwork(play.configs, name)).plugins.map(({ type }) => type)

describe('a network by name', () => {
  const cases: [string, files: Record<string, string>, types: string[]][] = [
    ['a list', { '10.conflist': list('a') }, ['x']],
    ['a list in a file that is all extension', { '.conflist': list('a') }, ['x']],
    ['a single .conf', { '10.conf': single('a') }, ['x']],
    ['a single .json', { '10.json': single('a') }, ['x']],
    [
      'the first list by file name',
      { '20.conflist': list('a', 'late'), '10.conflist': list('a', 'early') },
      ['early'],
    ],
    [
      'a list before a single',
      { '99.conflist': list('a', 'list'), '10.conf': single('a', 'single') },
      ['list'],
    ],
    [
      '.conf and .json together by file name',
      { '20.conf': single('a', 'late'), '10.json': single('a', 'early') },
      ['early'],
    ],
    ['not by file name', { 'a.conflist': list('b'), 'b.conflist': list('a', 'right') }, ['right']],
    ['past a malformed neighbour', { '10.conflist': '{', '20.conflist': list('a') }, ['x']],
    ['past a neighbour without a type', { '10.conf': '{"name":"a"}', '20.conf': single('a') }, ['x']],
    [
      'with the plugins of its directory',
      { '10.conflist': list('a'), 'a/20.conf': '{"type":"z"}', 'a/10.conf': '{"type":"y"}' },
      ['x', 'y', 'z'],
    ],
    [
      'with the plugins of its directory alone',
      { '10.conflist': '{"name":"a"}', 'a/10.conf': '{"type":"y"}' },
      ['y'],
    ],
    [
      'without what is not a .conf there',
      { '10.conflist': list('a'), 'a/10.json': '{"type":"y"}', 'a/b.conf/x': '' },
      ['x'],
    ],
    [
      'of inlined plugins only',
      {
        '10.conflist': '{"name":"a","loadOnlyInlinedPlugins":"true","plugins":[{"type":"x"}]}',
        'a/10.conf': '{"type":"y"}',
      },
      ['x'],
    ],
  ]
  it.each(cases)('%s', async (_, files, types) => {
    await write(files)
    expect(await found('a')).toEqual(types)
  })

  const bad: [string, files: Record<string, string>, code: string, message: string][] = [
    ['nothing there', {}, 'ERR_CNI_NO_NETWORKS', 'no net configurations found in '],
    [
      'nothing of another ending',
      { '10.yaml': list('a') },
      'ERR_CNI_NO_NETWORKS',
      'no net configurations found in ',
    ],
    [
      'not of this name',
      { '10.conflist': list('b') },
      'ERR_CNI_NETWORK_NOT_FOUND',
      'no net configuration with name "a" in ',
    ],
    [
      'not in a directory below',
      { 'sub/10.conflist': list('a'), '10.conflist': list('b') },
      'ERR_CNI_NETWORK_NOT_FOUND',
      'no net configuration',
    ],
    ['malformed, and says so', { '10.conflist': '{' }, 'ERR_CNI_NETWORK_NOT_FOUND', 'one file was skipped: '],
    [
      'a plugin of its directory malformed',
      { '10.conflist': list('a'), 'a/10.conf': '{}' },
      'ERR_CNI_NETWORK_NOT_FOUND',
      "a/10.conf: missing 'type'",
    ],
    [
      'no plugin configs',
      { '10.conflist': '{"name":"a"}' },
      'ERR_CNI_NETWORK_NOT_FOUND',
      'no plugin configs found',
    ],
  ]
  it.each(bad)('%s', async (_, files, code, message) => {
    await write(files)
    const error = await failureOf(loadNetwork(play.configs, 'a'))
    expect(error.code).toBe(code)
    expect(error.message).toContain(message)
  })

  it('is not in a directory that is not there', async () => {
    expect((await failureOf(loadNetwork('/nowhere/at/all', 'a'))).code).toBe('ERR_CNI_NO_NETWORKS')
    expect(await loadNetworks('/nowhere/at/all')).toEqual({ networks: [], problems: [] })
  })

  it('is found through a symlink', async () => {
    await writeFile(join(play.directory, 'real'), list('a'))
    await symlink(join(play.directory, 'real'), join(play.configs, '10.conflist'))
    expect(await found('a')).toEqual(['x'])
  })
})

it('lists every network and every problem with its file', async () => {
  await write({
    '30.conf': single('c'),
    '20.conflist': list('b'),
    '10.conflist': list('a'),
    '15.conflist': 'x',
    '05.json': '{}',
  })
  await symlink('/nowhere', join(play.configs, '40.conf'))
  const { networks, problems } = await loadNetworks(play.configs)
  expect(networks.map(({ path, network }) => [path.slice(play.configs.length + 1), network.name])).toEqual([
    ['10.conflist', 'a'],
    ['20.conflist', 'b'],
    ['30.conf', 'c'],
  ])
  expect(problems.map(({ path, error }) => [path.slice(play.configs.length + 1), error.code])).toEqual([
    ['15.conflist', 'ERR_CNI_JSON'],
    ['05.json', 'ERR_CNI_CONFIG'],
    ['40.conf', 'ERR_CNI_CONFIG_READ'],
  ])
})

it('remembers plugins of the directory in the cached configuration', async () => {
  await write({
    '10.conflist': JSON.stringify({ name: 'a', cniVersion: '1.0.0', plugins: [{ type: 'one' }] }),
    'a/1.conf': '{"type":"two"}',
  })
  await play.install('one')
  await play.install('two')
  const network = await readNetworkFile(join(play.configs, '10.conflist'))
  expect(parseNetworkConfigList(JSON.stringify(network.raw)).plugins).toEqual(network.plugins)
  await play.cni.add(network, attachment)
  await play.cni.del('a', attachment)
  expect(await play.order()).toEqual(['one ADD', 'two ADD', 'two DEL', 'one DEL'])
})
