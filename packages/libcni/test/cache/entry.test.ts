import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseNetworkConfigList } from '@podwire/libcni'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { decodeEntry, encodeEntry } from '../../src/cache/entry.ts'
import { CniError } from '../../src/errors.ts'
import { playground } from '../support/playground.ts'

const network = parseNetworkConfigList('{"name":"net1","cniVersion":"1.0.0","plugins":[{"type":"one"}]}')
const key = { network: 'net1', containerId: 'c1', ifName: 'eth0' }

function decodeOrTypedError(bytes: Uint8Array) {
  for (const known of [undefined, key])
    try {
      decodeEntry(bytes, known)
    } catch (error) {
      if (!(error instanceof CniError)) throw error
    }
}

it('gives back what was put in', () => {
  const attachment = {
    containerId: 'c1',
    ifName: 'eth0',
    netns: '/x',
    args: [['A', 'ä']] as const,
    capabilityArgs: JSON.parse('{"__proto__":1,"mac":"x"}'),
  }
  const result = { cniVersion: '1.0.0', ips: [{ address: '10.0.0.1/8' }] } as const
  const entry = decodeEntry(Buffer.from(encodeEntry(network, attachment, result)), key)
  expect(entry).toEqual({ ...attachment, network: 'net1', config: network, result })
})

it('any bytes, and any prefix or damage of an entry, are read or refused with a typed error', () => {
  const entry = Buffer.from(encodeEntry(network, { containerId: 'c1', ifName: 'eth0', args: [['A', 'b']] }))
  for (let size = 0; size < entry.length; size++) decodeOrTypedError(entry.subarray(0, size))
  const damage = fc.tuple(fc.nat(entry.length - 1), fc.nat(255)).map(([at, byte]) => {
    const damaged = Buffer.from(entry)
    damaged[at] = byte
    return damaged
  })
  fc.assert(fc.property(damage, decodeOrTypedError), { numRuns: 5000 })
  fc.assert(fc.property(fc.uint8Array(), decodeOrTypedError), { numRuns: 2000 })
}, 300_000)

it('is listed past strangers in the directory', async () => {
  const play = await playground()
  const results = join(play.cache, 'results')
  await mkdir(join(results, 'a-directory-x'), { recursive: true })
  await writeFile(join(results, 'net1-c1-eth0'), encodeEntry(network, { containerId: 'c1', ifName: 'eth0' }))
  await writeFile(join(results, 'notes.txt'), 'hello')
  const { attachments, corrupt } = await play.cni.attachments()
  expect(attachments.map(({ containerId }) => containerId)).toEqual(['c1'])
  expect(corrupt.map(({ file }) => file)).toEqual(['notes.txt'])
  await play.remove()
})
