import { describe, expect, it } from 'vitest'
import kubenet from '../src/index.ts'

const validate = (value: unknown) => kubenet.options!['~standard'].validate(value)

describe('the options', () => {
  it('have defaults', () => {
    const defaults = {
      value: {
        datapath: 'routed',
        bridge: 'cbr0',
        exclude: [],
        nameServers: [],
        connections: 8_192,
        repairInterval: 30_000,
      },
    }
    expect(validate(undefined)).toEqual(defaults)
    expect(validate({})).toEqual(defaults)
  })

  it('are parsed', () => {
    expect(
      validate({ datapath: 'bridge', bridge: 'br7', exclude: ['10.88.0.1-10.88.0.2'], repairInterval: '2m' }),
    ).toMatchObject({
      value: {
        datapath: 'bridge',
        bridge: 'br7',
        exclude: [{ family: 4, first: 0x0a580001n, last: 0x0a580002n }],
        repairInterval: 120_000,
      },
    })
    expect(validate({ repairInterval: 0 })).toMatchObject({ value: { repairInterval: 0 } })
  })

  it.each<readonly [object, string, RegExp]>([
    [{ datapath: 'macvlan' }, 'datapath', /expected "routed" or "bridge"/],
    [{ bridge: 'a-name-of-16-chars' }, 'bridge', /1 to 15 ASCII characters/],
    ...[
      'a/b',
      'br%d',
      'cbr\u00fc',
      'a b',
      'a:b',
      '.',
      '..',
      '',
      'all',
      'default',
      'pw0123456789ab',
      'a\u0000',
    ].map((bridge) => [{ bridge }, 'bridge', /name of a link/] as const),
    [{ exclude: ['10.88.0.9-10.88.0.1'] }, 'exclude', /list of addresses/],
    [{ exclude: '10.88.0.1' }, 'exclude', /list of addresses/],
    [{ connections: -1 }, 'connections', /whole number/],
    [{ connections: '100' }, 'connections', /whole number/],
    [{ repairInterval: 30 }, 'repairInterval', /duration such as "30s"/],
    [
      { brigde: 'cbr0' },
      'brigde',
      /unknown option; there are datapath, bridge, exclude, nameServers, connections, repairInterval/,
    ],
  ])('%j is refused with the key and what was expected', (input, key, message) => {
    expect(validate(input)).toMatchObject({
      issues: [{ path: [key], message: expect.stringMatching(message) }],
    })
  })

  it.each([null, [], 'cbr0'])('%j is not an object', (input) => {
    expect(validate(input)).toMatchObject({
      issues: [{ message: expect.stringContaining('expected an object') }],
    })
  })
})
