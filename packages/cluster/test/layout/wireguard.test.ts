import { describe, expect, test } from 'vitest'
import { formatNodeValue, parseNodeValue } from '../../src/layout/lease-value.ts'
import { formatNetwork, parseNetwork, withoutSecrets } from '../../src/layout/network.ts'

const key = (name: string) => Buffer.alloc(32, name).toString('base64')
const network = (backend: object) =>
  parseNetwork(JSON.stringify({ Network: '10.244.0.0/16', Backend: { Type: 'wireguard', ...backend } }))
const defaults = { type: 'wireguard', port: 51_820, portV6: 51_821, mode: 'separate', keepalive: 0 }

describe('a network that WireGuard encrypts', () => {
  test('means what flannel means where nothing is said', () => {
    expect(network({})).toMatchObject({ backend: defaults })
    expect(network({ PSK: '', ListenPort: 0 })).toMatchObject({ backend: defaults })
    expect(network({ PSK: '' })).not.toHaveProperty('backend.presharedKey')
  })

  test('is read with all that flannel lets it say', () => {
    const backend = {
      ListenPort: 7,
      ListenPortV6: 8,
      PSK: key('s'),
      PersistentKeepaliveInterval: 25,
      Mode: 'auto',
    }
    expect(network(backend)).toMatchObject({
      backend: { type: 'wireguard', port: 7, portV6: 8, presharedKey: key('s'), keepalive: 25, mode: 'auto' },
    })
  })

  test('is read again as it was written', () => {
    const backend = {
      type: 'wireguard',
      port: 7,
      portV6: 8,
      mode: 'ipv6',
      keepalive: 5,
      presharedKey: key('s'),
    } as const
    expect(parseNetwork(formatNetwork({ network: '10.244.0.0/16', backend }))).toMatchObject({ backend })
  })

  test.each([
    [{ ListenPort: 65_536 }, 'Backend.ListenPort'],
    [{ ListenPortV6: 'x' }, 'Backend.ListenPortV6'],
    [{ ListenPort: 7, ListenPortV6: 7 }, 'both 7'],
    [{ PersistentKeepaliveInterval: -1 }, 'Backend.PersistentKeepaliveInterval'],
    [{ Mode: 'both' }, 'separate, auto, ipv4, ipv6'],
    [{ PSK: 7 }, 'Backend.PSK'],
  ])('%j is refused, with what is wrong', (backend, problem) => {
    expect(network(backend)).toContain(problem)
  })

  test('has a secret that nobody is shown', () => {
    const odd = `${key('s')}x`
    expect(network({ PSK: odd })).toBe('Backend.PSK: expected 32 bytes in base64')
    const value = JSON.stringify({ Backend: { Type: 'wireguard', PSK: key('s'), Mode: 'auto' } })
    expect(withoutSecrets(value)).toBe('{"Backend":{"Type":"wireguard","PSK":"…","Mode":"auto"}}')
    expect(withoutSecrets('{"PSK" : "a\\"b"}')).toBe('{"PSK" : "…"}')
  })
})

describe('the lease of a node whose network is encrypted', () => {
  const flannels = `{"PublicIP":"192.0.2.7","PublicIPv6":"2001:db8::7","BackendType":"wireguard","BackendData":{"PublicKey":"${key('a')}"},"BackendV6Data":{"PublicKey":"${key('b')}"}}`

  test("is read as flannel's nodes write it, and written so that they read it", () => {
    const node = {
      publicIP: '192.0.2.7',
      publicIPv6: '2001:db8::7',
      backendType: 'wireguard',
      publicKey: key('a'),
      publicKey6: key('b'),
    }
    expect(parseNodeValue(flannels)).toEqual(node)
    expect(JSON.parse(formatNodeValue(node))).toEqual(JSON.parse(flannels))
  })

  test('of one family says nothing of the other', () => {
    const node = { publicIPv6: '2001:db8::7', backendType: 'wireguard', publicKey6: key('b') }
    expect(JSON.parse(formatNodeValue(node))).toEqual({
      PublicIP: '0.0.0.0',
      PublicIPv6: '2001:db8::7',
      BackendType: 'wireguard',
      BackendData: null,
      BackendV6Data: { PublicKey: key('b') },
    })
  })

  test.each([
    '""',
    '7',
    'null',
    '["x"]',
    `"${Buffer.alloc(31, 7).toString('base64')}"`,
    `"${Buffer.alloc(33, 7).toString('base64')}"`,
    `"${Buffer.alloc(32).toString('base64')}"`,
    `"${Buffer.alloc(32, 255).toString('base64url')}"`,
    `" ${key('a')}"`,
    `"${key('a')}\\n"`,
  ])('with the key %s has none', (text) => {
    const value = `{"PublicIP":"192.0.2.7","BackendType":"wireguard","BackendData":{"PublicKey":${text}}}`
    expect(parseNodeValue(value)).toEqual({ publicIP: '192.0.2.7', backendType: 'wireguard' })
  })
})
