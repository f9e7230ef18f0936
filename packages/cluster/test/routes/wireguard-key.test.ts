import { createPrivateKey, createPublicKey, diffieHellman } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { isWireguardKey } from '@podwire/netlink'
import { describe, expect, test } from 'vitest'
import { ensureWireguardKey, readWireguardKey } from '../../src/routes/wireguard-key.ts'
import { stateDir } from '../leases/members.ts'

describe('the key of a node', () => {
  test('is made once, for its user alone, and stays', () => {
    const dir = stateDir()
    expect(readWireguardKey(dir)).toBeUndefined()
    const { publicKey, privateKey } = ensureWireguardKey(dir)
    expect([publicKey, privateKey()].map(isWireguardKey)).toEqual([true, true])
    const file = join(dir, 'cluster', 'wireguard.key')
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(readFileSync(file, 'utf8')).toBe(`${privateKey()}\n`)
    expect(readdirSync(join(dir, 'cluster'))).toEqual(['wireguard.key'])
    for (const again of [ensureWireguardKey(dir), readWireguardKey(dir)])
      expect(again).toMatchObject({ publicKey })
    expect(ensureWireguardKey(stateDir()).publicKey).not.toBe(publicKey)
  })

  test('has the public key that wg pubkey and the kernel make of it', () => {
    const dir = stateDir()
    mkdirSync(join(dir, 'cluster'), { recursive: true })
    writeFileSync(join(dir, 'cluster', 'wireguard.key'), 'AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=\n')
    expect(readWireguardKey(dir)?.publicKey).toBe('B6N8vBQgk8i3VdwbEOhstCY3StFqqFPtC9/AsrhtHHw=')
  })

  test('is not shown by who prints what holds it', () => {
    const key = ensureWireguardKey(stateDir())
    expect(inspect(key, { depth: 9 }) + JSON.stringify({ key })).not.toContain(key.privateKey())
  })

  test.each(['', 'garbage', 'AAAA', `${Buffer.alloc(31, 7).toString('base64')}\n`])(
    'is made anew where %j is in its place',
    (text) => {
      const dir = stateDir()
      mkdirSync(join(dir, 'cluster'), { recursive: true })
      writeFileSync(join(dir, 'cluster', 'wireguard.key'), text)
      expect(readWireguardKey(dir)).toBeUndefined()
      expect(ensureWireguardKey(dir).publicKey).toBe(readWireguardKey(dir)?.publicKey)
    },
  )

  test('is taken from no link to elsewhere', () => {
    const dir = stateDir()
    mkdirSync(join(dir, 'cluster'), { recursive: true })
    symlinkSync('/etc/passwd', join(dir, 'cluster', 'wireguard.key'))
    expect(() => ensureWireguardKey(dir)).toThrow(expect.objectContaining({ code: 'ELOOP' }))
  })

  test('agrees with that of another node on a secret', () => {
    const [a, b] = [ensureWireguardKey(stateDir()), ensureWireguardKey(stateDir())]
    const privateOf = (key: typeof a) =>
      createPrivateKey({
        key: {
          kty: 'OKP',
          crv: 'X25519',
          d: Buffer.from(key.privateKey(), 'base64').toString('base64url'),
          x: Buffer.from(key.publicKey, 'base64').toString('base64url'),
        },
        format: 'jwk',
      })
    const secret = (own: typeof a, other: typeof a) =>
      diffieHellman({ privateKey: privateOf(own), publicKey: createPublicKey(privateOf(other)) }).toString(
        'hex',
      )
    expect(secret(a, b)).toBe(secret(b, a))
  })
})
