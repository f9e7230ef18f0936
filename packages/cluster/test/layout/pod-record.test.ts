import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  formatPodRecord,
  mostRecordBytes,
  parsePodKeyName,
  parsePodRecord,
  podKeyNameOf,
} from '../../src/layout/pod-record.ts'
import { type PodSubnets, parsePodSubnets } from '../../src/layout/pod-subnets.ts'

const subnets: PodSubnets = parsePodSubnets('10.244.3.0/24,fd00:244:0:3::/64')!
const web = {
  namespace: 'default',
  name: 'web.example',
  addresses: ['10.244.3.2', 'fd00:244:0:3::2'],
  annotations: { app: 'web' },
}

describe('the record of a pod', () => {
  test('is below its node’s subnets, and says addresses and annotations', () => {
    const name = podKeyNameOf(subnets, web)
    expect(name).toBe('10.244.3.0-24&fd00:244:0:3::-64/default/web.example')
    const { value, isCut } = formatPodRecord(web)
    expect(value).toBe('{"addresses":["10.244.3.2","fd00:244:0:3::2"],"annotations":{"app":"web"}}')
    expect(isCut).toBe(false)
    const place = parsePodKeyName(name)!
    expect(place).toMatchObject({ node: '10.244.3.0-24&fd00:244:0:3::-64', name: 'web.example' })
    expect(parsePodRecord(place, value)).toEqual(web)
    // More may be written into it than is used.
    expect(parsePodRecord(place, '{"addresses":["10.244.3.2","10.244.3.2"],"later":1}')).toEqual({
      ...web,
      addresses: ['10.244.3.2'],
      annotations: {},
    })
  })

  test('leaves out annotations that are too large, all of them, and says so', () => {
    const { value, isCut } = formatPodRecord({ ...web, annotations: { a: 'x'.repeat(5_000), b: 'y' } })
    expect(JSON.parse(value)).toEqual({ addresses: web.addresses })
    expect(isCut).toBe(true)
  })

  test.each([
    ['10.244.3.0-24/default'],
    ['10.244.3.0-24/default/web/x'],
    ['10.244.3.1-24/default/web'],
    ['10.244.3.0/default/web'],
    ['10.244.3.0-24//web'],
    ['10.244.3.0-24/De/web'],
    ['10.244.3.0-24/default/web_1'],
    ['10.244.3.0-24/default/../web'],
    [`10.244.3.0-24/${'a'.repeat(64)}/web`],
    ['0.0.0.0-0&FD00:244::-64/default/web'],
    [''],
  ])('has no place at %j', (name) => {
    expect(parsePodKeyName(name)).toBeUndefined()
  })

  test.each([
    ['{', 'not JSON'],
    ['null', 'it'],
    ['{}', 'addresses'],
    ['{"addresses":[]}', 'addresses'],
    [JSON.stringify({ addresses: Array.from({ length: 17 }, (_, at) => `10.244.3.${at}`) }), 'addresses'],
    ['{"addresses":["10.244.4.2"]}', '"10.244.4.2" is not an address of its node'],
    ['{"addresses":["10.244.3.2","10.244.4.2"]}', '"10.244.4.2"'],
    ['{"addresses":["fd00:244:0:3::2%eth0"]}', 'is not an address'],
    ['{"addresses":["10.244.3.2"],"annotations":{"a":null}}', 'annotations.a'],
    [`{"addresses":["10.244.3.2"],"x":"${'ü'.repeat(mostRecordBytes / 2)}"}`, '4096 are the most'],
  ])('is not %j', (value, reason) => {
    const place = { node: '', subnets, namespace: 'default', name: 'web' }
    expect(parsePodRecord(place, value)).toContain(reason)
  })

  test('whatever is written there, reading it throws nothing', () => {
    const value = fc.oneof(
      fc.string(),
      fc.json(),
      fc.record({ addresses: fc.anything() }).map((one) => JSON.stringify(one)),
    )
    fc.assert(
      fc.property(fc.string(), value, (name, text) => {
        parsePodKeyName(name)
        const place = { node: '', subnets, namespace: 'default', name: 'web' }
        const read = parsePodRecord(place, text ?? '')
        expect(typeof read === 'string' || read.addresses.length > 0).toBe(true)
      }),
      { numRuns: 2_000 },
    )
  })
})
