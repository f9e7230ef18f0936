import { expect, test } from 'vitest'
import {
  parseAnnotation,
  parseBandwidthFlag,
  parseNameServer,
  parsePid,
  parsePodName,
  parsePort,
  parseTimeout,
  podOfFlags,
} from '../src/flags.ts'

test.each([
  ['8080:80', { hostPort: 8080, containerPort: 80, protocol: 'tcp' }],
  ['53:5353/udp', { hostPort: 53, containerPort: 5353, protocol: 'udp' }],
  ['127.0.0.1:80:8080', { hostPort: 80, containerPort: 8080, protocol: 'tcp', hostIP: '127.0.0.1' }],
  ['[::1]:80:8080/sctp', { hostPort: 80, containerPort: 8080, protocol: 'sctp', hostIP: '::1' }],
])('-p %s', (text, mapping) => {
  expect(parsePort(text)).toEqual(mapping)
})

test.each<[string, () => unknown]>([
  ['-p 80', () => parsePort('80')],
  ['-p a:b', () => parsePort('a:b')],
  ['-p 80:80/icmp', () => parsePort('80:80/icmp')],
  ['-p ::1:80:80', () => parsePort('::1:80:80')],
  ['--annotation novalue', () => parseAnnotation('novalue')],
  ['--annotation =value', () => parseAnnotation('=value')],
  ['--pid x', () => parsePid('x')],
  ['--pid 0', () => parsePid('0')],
  ['--ingress 10X', () => parseBandwidthFlag('--ingress')('10X')],
  ['--timeout soon', () => parseTimeout('soon')],
  ['--dns example.com', () => parseNameServer('example.com')],
  ['web', () => parsePodName('web')],
  ['a/b/c', () => parsePodName('a/b/c')],
  ['/b', () => parsePodName('/b')],
])('%s is a usage error', (_name, parse) => {
  expect(parse).toThrow(expect.objectContaining({ exitCode: 2 }))
})

test('flags become annotations', async () => {
  expect(
    await podOfFlags(
      { namespace: 'default', name: 'web' },
      { ingress: '10M', egress: '5M', annotation: [['a', 'b=c']] },
    ),
  ).toEqual({
    namespace: 'default',
    name: 'web',
    portMappings: [],
    annotations: {
      a: 'b=c',
      'kubernetes.io/ingress-bandwidth': '10M',
      'kubernetes.io/egress-bandwidth': '5M',
    },
  })
})
