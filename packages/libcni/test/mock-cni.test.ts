import { mockCni, rejects, resolves } from '@podwire/testing'
import { expect, test } from 'vitest'
import { type CNI, parseNetworkConfigList } from '../src/index.ts'

const network = parseNetworkConfigList('{"cniVersion":"1.1.0","name":"net","plugins":[{"type":"bridge"}]}')
const attachment = { containerId: 'pod1', netns: '/run/netns/pod1', ifName: 'eth0' }
const result = { cniVersion: '1.1.0', ips: [{ address: '10.1.0.2/24' }] } as const

test('a mock stands in for CNI: it answers as told and remembers what it was asked', async () => {
  const cni = mockCni<CNI>({ add: [rejects(new Error('busy')), resolves(result)] })
  await expect(cni.add(network, attachment)).rejects.toThrow('busy')
  expect(await cni.add(network, attachment)).toEqual(result)
  expect(await cni.add(network, attachment)).toEqual(result)
  await cni.del('net', attachment)
  expect(cni.calls.map(({ method }) => method)).toEqual(['add', 'add', 'add', 'del'])
  expect(cni.callsOf('del')).toEqual([['net', attachment]])
  cni.answer('status', rejects(new Error('not ready')))
  await expect(cni.status(network)).rejects.toThrow('not ready')
})
