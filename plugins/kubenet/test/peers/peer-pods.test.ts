import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { recordingLogger } from '@podwire/testing'
import { expect, onTestFinished, test } from 'vitest'
import { parsePeerPodsChange } from '../../src/peers/parse-change.ts'
import { openPeerPods } from '../../src/peers/peer-pods.ts'

function stateDir() {
  const dir = mkdtempSync(join(tmpdir(), 'kubenet-peers-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

const node = (third: number, ...names: string[]) => ({
  podCIDR: `10.244.${third}.0/24,fd00:0:0:${third}::/64`,
  pods: names.map((name, at) => ({
    namespace: 'default',
    name,
    addresses: [`10.244.${third}.${at + 2}`],
    annotations: { third: String(third) },
  })),
})
const change = (details: object) => parsePeerPodsChange({ ...details })
const namesIn = (pods: readonly { readonly name: string }[]) => pods.map(({ name }) => name).sort()

test('other nodes’ pods are known to whoever looks, as soon as they are told of, however often that is', () => {
  const dir = stateDir()
  const log = recordingLogger()
  const [told, other] = [openPeerPods(dir, log), openPeerPods(dir, log)]
  expect(other.all()).toEqual([])
  for (let round = 0; round < 200; round++) {
    const name = `pod-${round}`
    told.apply(change({ changed: [node(1 + (round % 3), name)] }))
    expect(namesIn(other.all()), name).toContain(name)
    expect(other.named('default', name)?.addresses).toEqual([{ address: `10.244.${1 + (round % 3)}.2` }])
    expect(other.all()).toHaveLength(Math.min(3, round + 1))
  }
  expect(namesIn(openPeerPods(dir, log).all())).toEqual(['pod-197', 'pod-198', 'pod-199'])
  expect(log.entries).toEqual([])
})

test('a change says what the nodes that it is about had and have, and who is gone', () => {
  const peers = openPeerPods(stateDir(), recordingLogger())
  peers.apply(change({ changed: [node(1, 'a', 'b'), node(2, 'c'), node(3, 'd')] }))
  const { before, after } = peers.apply(change({ changed: [node(1, 'b')] }))
  expect([namesIn(before), namesIn(after)]).toEqual([['a', 'b'], ['b']])
  const all = [node(1).podCIDR, node(4).podCIDR]
  const next = peers.apply(change({ all, changed: [node(4, 'e')] }))
  expect([namesIn(next.before), namesIn(next.after)]).toEqual([['c', 'd'], ['e']])
  expect(namesIn(peers.all())).toEqual(['b', 'e'])
  expect(peers.named('default', 'd')).toBeUndefined()
})

test('a file that says something else is nobody’s', () => {
  const dir = stateDir()
  const log = recordingLogger()
  openPeerPods(dir, log).apply(change({ changed: [node(1, 'a'), node(2, 'b')] }))
  writeFileSync(join(dir, 'peers/10.244.1.0-24,fd00:0:0:1::-64.json'), JSON.stringify(node(9, 'x')))
  writeFileSync(join(dir, 'peers/10.244.2.0-24,fd00:0:0:2::-64.json'), '[]')
  expect(openPeerPods(dir, log).all()).toEqual([])
  expect(log.entries.map(({ message }) => message)).toEqual([expect.stringContaining("can't be read")])
})
