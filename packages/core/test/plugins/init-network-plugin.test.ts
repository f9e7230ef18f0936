import { fakeHost, hangsForever, mockNetworkPlugin, rejects } from '@podwire/testing'
import { expect, test } from 'vitest'
import { initNetworkPlugin } from '../../src/plugins/init-network-plugin.ts'

const options = { hairpinMode: 'none', nonMasqueradeCIDR: '10.0.0.0/8', mtu: 0 } as const
const host = fakeHost()
const plugin = (name: string) => mockNetworkPlugin({ name })

test('initialises the chosen plugin, once, and no other', async () => {
  const [chosen, other] = [plugin('acme.io/a'), plugin('acme.io/b')]
  expect(await initNetworkPlugin([other, chosen], 'acme.io/a', host, options)).toBe(chosen)
  expect(chosen.callsOf('init')).toEqual([[host, options]])
  expect(other.calls).toEqual([])
  await expect(initNetworkPlugin([chosen], 'acme.io/a', host, options)).rejects.toThrow(
    'was initialised before',
  )
})

test('an empty name means the no-op plugin, which is found like any other', async () => {
  const noop = plugin('kubernetes.io/no-op')
  expect(await initNetworkPlugin([plugin('x'), noop], '', host, options)).toBe(noop)
  await expect(initNetworkPlugin([plugin('x')], '', host, options)).rejects.toThrow(
    'npm install @podwire/plugin-noop',
  )
})

test('collects everything that is wrong in one error', async () => {
  const plugins = [plugin('a/b/c'), plugin('twice'), plugin('twice'), plugin('fine')]
  const error = await initNetworkPlugin(plugins, 'fien', host, options).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(AggregateError)
  expect((error as AggregateError).message.split('\n')).toEqual([
    expect.stringContaining('network plugin has invalid name: "a/b/c"'),
    'network plugin "twice" was registered more than once',
    'Network plugin "fien" not found. There is: twice, fine. Did you mean "fine"?',
  ])
})

test('a chosen plugin is initialised though others are wrong, and still the error comes', async () => {
  const chosen = plugin('fine')
  await expect(initNetworkPlugin([plugin('-'), chosen], 'fine', host, options)).rejects.toThrow(
    'invalid name: "-"',
  )
  expect(chosen.callsOf('init')).toHaveLength(1)
})

test.each([
  ['rejects', rejects(new Error('no bridge')), 'Network plugin "x" failed init: no bridge'],
  ['rejects with no error', rejects('bare'), 'Network plugin "x" failed init: bare'],
  ['hangs', hangsForever(), 'init of network plugin "x": not done within 50 ms'],
])('an init that %s is an error', async (_name, answer, message) => {
  const failing = mockNetworkPlugin({ name: 'x', answers: { init: answer } })
  await expect(initNetworkPlugin([failing], 'x', host, options, { deadlineMs: 50 })).rejects.toThrow(message)
})
