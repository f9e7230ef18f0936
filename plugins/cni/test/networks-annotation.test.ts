import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseNetworksAnnotation } from '../src/networks-annotation.ts'

const selection = { capabilityArgs: {}, cniArgs: undefined }

describe('the annotation of further networks', () => {
  it.each([
    ['', []],
    ['  ', []],
    ['[]', []],
    ['storage', [{ name: 'storage', ifName: 'net1' }]],
    [
      'storage,lab',
      [
        { name: 'storage', ifName: 'net1' },
        { name: 'lab', ifName: 'net2' },
      ],
    ],
    [
      ' shop/storage@data0 , lab ',
      [
        { name: 'storage', ifName: 'data0' },
        { name: 'lab', ifName: 'net2' },
      ],
    ],
    ['[{"name":"storage"}]', [{ name: 'storage', ifName: 'net1' }]],
    [
      '[{"name":"a","namespace":"shop","interface":"data0"},{"name":"b"}]',
      [
        { name: 'a', ifName: 'data0' },
        { name: 'b', ifName: 'net2' },
      ],
    ],
  ])('reads %j', (value, expected) => {
    expect(parseNetworksAnnotation(value)).toEqual(expected.map((one) => ({ ...selection, ...one })))
  })

  it('reads what each network is asked for', () => {
    const asked = {
      ips: ['10.0.0.9/24', '2001:db8::9'],
      mac: '02:00:5e:00:00:01',
      bandwidth: { ingressRate: 1000, ingressBurst: 1000 },
      portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }],
      'infiniband-guid': 'c2:11:22:33:44:55:66:77',
      'cni-args': { vlan: 7 },
    }
    const { 'infiniband-guid': infinibandGUID, 'cni-args': cniArgs, ...rest } = asked
    expect(parseNetworksAnnotation(JSON.stringify([{ name: 'a', ...asked }]))).toEqual([
      { name: 'a', ifName: 'net1', capabilityArgs: { ...rest, infinibandGUID }, cniArgs },
    ])
  })

  it.each([
    ['a,,b', /"" is not/],
    ['a@b@c', /"a@b@c" is not/],
    ['a/b/c', /"a\/b\/c" is not/],
    ['a b', /"a b" is not/],
    ['a@eth0', /interface "eth0" is taken/],
    ['a@net2,b', /interface "net2" is taken/],
    ['a@sixteen-letters-', /can't name an interface/],
    ['a@..', /can't name an interface/],
    ['{"name":"a"}', /expected a list/],
    ['[{"name":"a"}', /not JSON/],
    ['["a"]', /item 1: expected an object/],
    ['[{}]', /item 1: expected a name/],
    ['[{"name":"a"},{"name":7}]', /item 2: expected a name/],
    ['[{"name":"a","interface":7}]', /interface: expected a string/],
    ['[{"name":"a","ips":["10.0.0.300"]}]', /ips: expected a list of addresses/],
    ['[{"name":"a","ips":["10.0.0.3/33"]}]', /ips: expected a list of addresses/],
    ['[{"name":"a","mac":"02:00"}]', /mac: expected a MAC address/],
    ['[{"name":"a","bandwidth":{"ingressRate":"10M"}}]', /bandwidth: expected an object of rates/],
    ['[{"name":"a","cni-args":[]}]', /cni-args: expected an object/],
    ['[{"name":"a","default-route":["10.0.0.1"]}]', /default-route is not supported/],
    ['[{"name":"a","__proto__":{}}]', /__proto__ is not supported/],
  ])('refuses %j', (value, message) => {
    expect(() => parseNetworksAnnotation(value)).toThrow(message)
  })

  it('throws nothing but its own error, whatever comes', () => {
    const annotation = fc.oneof(
      fc.string(),
      fc.json(),
      fc.json().map((json) => `[${json}]`),
    )
    fc.assert(
      fc.property(annotation, (value) => {
        try {
          parseNetworksAnnotation(value)
        } catch (error) {
          expect(error).toMatchObject({ code: 'CNI_BAD_NETWORKS_ANNOTATION' })
        }
      }),
      { numRuns: 3000 },
    )
  })
})
