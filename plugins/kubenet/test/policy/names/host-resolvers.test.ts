import { recordingLogger } from '@podwire/testing'
import { expect, it } from 'vitest'
import { parseServer } from '../../../src/policy/names/exchange.ts'
import { readHostResolvers } from '../../../src/policy/names/host-resolvers.ts'
import { createResolver } from '../../../src/policy/names/resolver.ts'

const host = (files: Record<string, string>) => readHostResolvers((file) => files[file] ?? '')
const stub = '/run/systemd/resolve/resolv.conf'

it('asks the servers of the host', () => {
  expect(
    host({
      '/etc/resolv.conf':
        '# none\nnameserver 10.0.0.53\n nameserver fd00::53 # two\nsearch A.example b.example.\n',
    }),
  ).toEqual({
    servers: ['10.0.0.53', 'fd00::53'],
    search: ['a.example', 'b.example'],
  })
})

it('asks those behind a resolver of the host, and that one where they are not known', () => {
  const conf = 'nameserver 127.0.0.53\nsearch a.example\nsearch b.example\n'
  expect(host({ '/etc/resolv.conf': conf, [stub]: 'nameserver 10.0.0.53\nnameserver 10.0.0.54' })).toEqual({
    servers: ['10.0.0.53', '10.0.0.54'],
    search: ['b.example'],
  })
  expect(host({ '/etc/resolv.conf': conf })).toEqual({ servers: ['127.0.0.53'], search: ['b.example'] })
})

it('knows no server where there is no file', () => {
  expect(host({})).toEqual({ servers: [], search: [] })
})

it.each([
  ['10.0.0.53', { address: '10.0.0.53', port: 53 }],
  ['10.0.0.53:5353', { address: '10.0.0.53', port: 5353 }],
  ['fd00::53', { address: 'fd00::53', port: 53 }],
  ['[fd00::53]', { address: 'fd00::53', port: 53 }],
  ['[fd00::53]:5353', { address: 'fd00::53', port: 5353 }],
  ['fe80::1%eth0', { address: 'fe80::1%eth0', port: 53 }],
])('"%s" is a server', (text, server) => expect(parseServer(text)).toEqual(server))

it.each([
  '',
  'dns.google',
  '10.0.0',
  '10.0.0.256',
  '10.0.0.1:0',
  '10.0.0.1:65536',
  '[10.0.0.1',
  '10.0.0.1:',
  ':53',
])('"%s" is not a server', (text) => expect(parseServer(text)).toBeUndefined())

const resolver = (servers: string[], addresses = ['127.0.0.1']) =>
  createResolver({
    upstreams: { servers },
    listen: { addresses, port: 0 },
    decide: () => 'allow',
    admit: async () => undefined,
    log: recordingLogger(),
  })

it('says what is wrong with a server, and with an address to listen on', async () => {
  await expect(resolver(['dns.google'])).rejects.toMatchObject({ code: 'INVALID_NAME_SERVER' })
  await expect(resolver(['10.0.0.53'], ['127.0.0.1', '192.0.2.1'])).rejects.toMatchObject({
    code: 'RESOLVER_NOT_LISTENING',
  })
})

it('needs no server for names that the host knows itself, and says that it has none', async () => {
  const [without, having] = [await resolver([]), await resolver(['10.0.0.53'])]
  expect([without.hasServers(), having.hasServers()]).toEqual([false, true])
  await Promise.all([without.close(), having.close()])
})
