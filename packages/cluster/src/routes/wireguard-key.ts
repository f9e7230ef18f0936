import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { join } from 'node:path'
import { readFileIfThere, writeFileWhole } from '@podwire/api/files'
import { isWireguardKey } from '@podwire/netlink'

/** This node's key. What is printed of it shows the public one alone. */
export interface WireguardKey {
  /** 32 bytes in base64, as all here. */
  readonly publicKey: string
  privateKey(): string
}

const fileIn = (stateDir: string) => join(stateDir, 'cluster', 'wireguard.key')

/** Undefined where there is none yet, or what is there is not one. Throws node:fs's errors where it can't be read. */
export function readWireguardKey(stateDir: string): WireguardKey | undefined {
  const text = readFileIfThere(fileIn(stateDir), 1_024)?.trim()
  return text !== undefined && isWireguardKey(text) ? keyOf(Buffer.from(text, 'base64')) : undefined
}

/** The key of this node, which is made where there is none: others learn of it by the lease. */
export function ensureWireguardKey(stateDir: string): WireguardKey {
  const there = readWireguardKey(stateDir)
  if (there) return there
  const made = keyOf(rawOf(generateKeyPairSync('x25519').privateKey, 'd'))
  writeFileWhole(fileIn(stateDir), `${made.privateKey()}\n`)
  return made
}

// RFC 8410: what stands before the 32 bytes of a private X25519 key in PKCS #8.
const pkcs8 = Buffer.from('302e020100300506032b656e04220420', 'hex')

function keyOf(bytes: Buffer): WireguardKey {
  const privateKey = createPrivateKey({ key: Buffer.concat([pkcs8, bytes]), format: 'der', type: 'pkcs8' })
  const publicKey = rawOf(createPublicKey(privateKey), 'x').toString('base64')
  return { publicKey, privateKey: () => bytes.toString('base64') }
}

const rawOf = (key: KeyObject, part: 'd' | 'x') =>
  // An X25519 key has both as text.
  Buffer.from(key.export({ format: 'jwk' })[part] ?? '', 'base64url')
