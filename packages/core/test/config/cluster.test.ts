import { hostname } from 'node:os'
import { describe, expect, test } from 'vitest'
import { configJsonSchema } from '../../src/config/json-schema.ts'
import { parseConfig } from '../../src/config/parse.ts'

const etcd = { endpoints: ['http://192.0.2.254:2379'] }
const parse = (cluster: object, more: object = {}) =>
  parseConfig({ cluster, ...more }, '/etc/podwire/podwire.config.json')

describe('cluster in the configuration', () => {
  test('is three lines, and all else has a default', () => {
    expect(parse({ etcd }).cluster).toEqual({
      etcd: { ...etcd, prefix: '/coreos.com/network' },
      nodeName: hostname(),
      leaseTTL: 86_400_000,
      renewBefore: 43_200_000,
      releaseOnStop: false,
      sharePods: true,
      sharedAnnotations: [],
    })
  })

  test('has files beside it', () => {
    const files = { ca: 'ca.pem', cert: '/tls/node.pem', key: 'node.key' }
    expect(parse({ etcd: { ...etcd, ...files } }).cluster?.etcd).toMatchObject({
      ca: '/etc/podwire/ca.pem',
      cert: '/tls/node.pem',
      key: '/etc/podwire/node.key',
    })
  })

  test.each<[object, string]>([
    [{}, 'one of etcd, static and kubernetes'],
    [
      { etcd, static: [{ node: 'a', podCIDR: '10.1.0.0/24', publicIP: '192.0.2.1' }] },
      'one of etcd, static and kubernetes',
    ],
    [{ etcd: { endpoints: [] } }, 'at least 1'],
    [{ etcd: { endpoints: ['192.0.2.254:2379'] } }, 'client URL'],
    [{ etcd: { ...etcd, cert: 'a.pem' } }, 'cert and key belong together'],
    [{ etcd: { ...etcd, username: 'a' } }, 'username and password belong together'],
    [{ etcd: { ...etcd, prefix: 'network' } }, 'prefix of keys'],
    [{ etcd: { ...etcd, endpoint: 'x' } }, 'did you mean "endpoints"'],
    [{ etcd, leaseTTl: '1h' }, 'did you mean "leaseTTL"'],
    [{ etcd, leaseTTL: '4s' }, 'at least 5s'],
    [{ etcd, leaseTTL: '1h', renewBefore: '1h' }, 'less than leaseTTL'],
    [{ etcd, publicIP: 'node-1' }, 'IPv4 address'],
    [{ etcd, backend: { type: 'vxlan' } }, 'podwire cluster init'],
    [{ etcd, sharedAnnotations: ['a*b'] }, 'key of an annotation'],
    [{ etcd, sharePods: false, sharedAnnotations: ['app'] }, 'sharedAnnotations needs etcd'],
    [
      { kubernetes: { clusterCIDR: '10.244.0.0/16' }, sharedAnnotations: ['app'] },
      'sharedAnnotations needs etcd',
    ],
    [{ kubernetes: {} }, 'cluster.kubernetes.clusterCIDR'],
    [{ kubernetes: { clusterCidr: '10.244.0.0/16' } }, 'did you mean "clusterCIDR"'],
    [{ kubernetes: { clusterCIDR: 'x' } }, 'expected a CIDR'],
    [{ static: [] }, 'at least 1'],
    [{ static: [{ node: 'a', podCIDR: '10.1.0.0', publicIP: '192.0.2.1' }] }, 'static[0].podCIDR'],
    [{ static: [{ node: 'a', podCIDR: '10.1.0.0/24', publicIP: 'x' }] }, 'static[0].publicIP'],
    [
      { static: [{ name: 'a', podCIDR: '10.1.0.0/24', publicIP: '192.0.2.1' }] },
      'Valid here: node, podCIDR, publicIP',
    ],
    [
      { static: [{ node: 'a', podCIDR: '10.1.0.0/24', publicIP: '192.0.2.1' }], backend: { kind: 'x' } },
      'Valid here: type',
    ],
  ])('%j is refused: %s', (cluster, problem) => {
    expect(() => parse(cluster)).toThrow(problem)
  })

  test('gives the pod CIDR, so that none stands beside it', () => {
    expect(() => parse({ etcd }, { podCIDR: '10.88.0.0/16' })).toThrow(
      /podCIDR: expected none beside cluster/,
    )
  })

  test('is known to editors', () => {
    expect(JSON.stringify(configJsonSchema())).toContain('What the network')
  })
})
