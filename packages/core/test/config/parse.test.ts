import { isPodwireError, parseDuration } from '@podwire/api'
import { expect, test } from 'vitest'
import { configJsonSchema } from '../../src/config/json-schema.ts'
import { parseConfig } from '../../src/config/parse.ts'

function problemsOf(input: unknown): string {
  try {
    parseConfig(input, '/etc/podwire/podwire.config.json')
  } catch (error) {
    if (isPodwireError(error)) {
      expect(error).toMatchObject({ code: 'CONFIG_INVALID', exitCode: 2 })
      return error.message
    }
    throw error
  }
  return 'nothing is wrong'
}

test.each<[string, unknown, string[]]>([
  ['an unknown key', { networkPlugins: 'x' }, ['networkPlugins: unknown key; did you mean "networkPlugin"?']],
  ['an unknown key far from all', { qqqqqq: 1 }, ['qqqqqq: unknown key. Valid here: networkPlugin']],
  [
    'a nested unknown key',
    { deadlines: { setupPod: '1s' } },
    ['deadlines.setupPod: unknown key; did you mean "setUpPod"?'],
  ],
  ['a wrong type', { mtu: 'big' }, ['mtu: expected a number, got "big"']],
  ['a wrong type in a list', { discovery: { paths: [1] } }, ['discovery.paths[0]: expected a string, got 1']],
  [
    'a value of no choice',
    { hairpinMode: 'yes' },
    ['hairpinMode: expected "promiscuous-bridge", "hairpin-veth", "none", got "yes"'],
  ],
  [
    'an MTU out of range',
    { mtu: 100 },
    ['mtu: expected 0 (the plugin chooses), or 576 to 65535 bytes, got 100'],
  ],
  [
    'an invalid plugin name',
    { networkPlugin: 'a/b/c' },
    ['networkPlugin: expected [prefix/]name', 'got "a/b/c"'],
  ],
  ['no CIDR', { nonMasqueradeCIDR: '10.0.0.0' }, ['nonMasqueradeCIDR: expected a CIDR', 'got "10.0.0.0"']],
  ['two CIDRs of one family', { podCIDR: '10.0.0.0/8,11.0.0.0/8' }, ['podCIDR: expected a CIDR']],
  ['no duration', { deadlines: { init: 'soon' } }, ['deadlines.init: expected a duration', 'got "soon"']],
  ['no object', [], ['expected an object, got a list']],
  ['nothing', null, ['expected an object, got null']],
  ['two things at once', { mtu: 'big', podCIDR: 7 }, ['mtu: ', 'podCIDR: ']],
])('%s is an error that says where, what and what was expected', (_name, input, expected) => {
  const message = problemsOf(input)
  expect(message).toContain('/etc/podwire/podwire.config.json: ')
  for (const part of expected) expect(message).toContain(part)
})

test('takes both families as pod CIDR', () => {
  expect(parseConfig({ podCIDR: '10.88.0.0/16, fd00:88::/64' }, undefined).podCIDR).toContain('fd00')
})

test.each([
  ['500ms', 500],
  ['30s', 30_000],
  ['1.5m', 90_000],
  ['2h', 7_200_000],
  [250, 250],
  ['0s', undefined],
  [-1, undefined],
  ['30', undefined],
  ['30 s', undefined],
  ['1000h', undefined],
])('reads the duration %j as %j ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms)
})

test('the JSON Schema describes every key, and requires none', () => {
  const schema = configJsonSchema()
  expect(Object.keys(schema.properties as object)).toContain('networkPlugin')
  expect(schema.required ?? []).toEqual([])
  expect(JSON.stringify(schema.properties)).toContain('qualified name')
})
