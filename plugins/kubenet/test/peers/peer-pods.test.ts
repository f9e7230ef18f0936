import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
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

const file = 'peers/10.244.1.0-24,fd00:0:0:1::-64.json'
const victim = (dir: string) => join(dir, 'victim')
/** What may stand where a file or a directory should. */
const inTheWay: Readonly<Record<string, (path: string, dir: string) => void>> = {
  'a file': (path) => writeFileSync(path, 'x'),
  'a directory': (path) => mkdirSync(join(path, 'sub'), { recursive: true }),
  'a pipe': (path) => void spawnSync('mkfifo', [path]),
  'a link to itself': (path) => symlinkSync(path, path),
  'a link to a directory': (path, dir) => {
    mkdirSync(victim(dir))
    writeFileSync(join(victim(dir), '10.244.1.0-24,fd00:0:0:1::-64.json'), JSON.stringify(node(1, 'x')))
    symlinkSync(victim(dir), path)
  },
  'a link to a file': (path, dir) => {
    writeFileSync(victim(dir), JSON.stringify(node(1, 'x')))
    symlinkSync(victim(dir), path)
  },
  'a link to nothing': (path, dir) => symlinkSync(victim(dir), path),
}
const kinds = Object.keys(inTheWay)

test.each(kinds.filter((kind) => kind !== 'a directory'))(
  '%s in the place of their directory is nobody, is told once, and makes room when there is somebody',
  (kind) => {
    const dir = stateDir()
    const log = recordingLogger()
    inTheWay[kind]?.(join(dir, 'peers'), dir)
    const peers = openPeerPods(dir, log)
    for (let look = 0; look < 3; look++) expect(peers.all()).toEqual([])
    expect(peers.named('default', 'x')).toBeUndefined()
    expect(log.entries).toHaveLength(1)
    peers.apply(change({ all: [node(1).podCIDR], changed: [node(1, 'a')] }))
    expect(namesIn(peers.all())).toEqual(['a'])
    expect(namesIn(openPeerPods(dir, log).all())).toEqual(['a'])
    // What a link led to is as it was.
    if (kind === 'a link to a directory') expect(readdirSync(victim(dir))).toHaveLength(1)
    if (kind === 'a link to a file') expect(readFileSync(victim(dir), 'utf8')).toContain('"x"')
    if (kind === 'a link to nothing') expect(existsSync(victim(dir))).toBe(false)
  },
)

test.each(kinds)('%s in the place of a node’s file is nobody, and makes room', (kind) => {
  const dir = stateDir()
  const log = recordingLogger()
  openPeerPods(dir, log).apply(change({ changed: [node(2, 'b')] }))
  inTheWay[kind]?.(join(dir, file), dir)
  const peers = openPeerPods(dir, log)
  expect(namesIn(peers.all())).toEqual(['b'])
  expect(log.entries).toHaveLength(1)
  peers.apply(change({ changed: [node(1, 'a')] }))
  expect(namesIn(peers.all())).toEqual(['a', 'b'])
  expect(namesIn(openPeerPods(dir, log).all())).toEqual(['a', 'b'])
  rmSync(join(dir, file))
  inTheWay[kind]?.(join(dir, file), stateDir())
  peers.apply(change({ all: [node(2).podCIDR], changed: [] }))
  expect(readdirSync(join(dir, 'peers'))).toHaveLength(1)
})

test('of a node that tells of more than a file holds, a part is known, to all in the same way', () => {
  const dir = stateDir()
  const log = recordingLogger()
  const peers = openPeerPods(dir, log)
  const annotations = { text: 'ü'.repeat(100_000) }
  const pods = Array.from({ length: 100 }, (_, at) => ({
    ...{ namespace: 'default', name: `pod-${at}`, annotations },
    addresses: [`10.244.1.${at + 2}`],
  }))
  const { after } = peers.apply(change({ changed: [{ podCIDR: '10.244.1.0/24', pods }, node(2, 'b')] }))
  expect(after.length).toBeGreaterThan(70)
  expect(after.length).toBeLessThan(100)
  expect(log.entries).toEqual([
    expect.objectContaining({ message: expect.stringContaining('a part of them') }),
  ])
  expect(peers.all()).toHaveLength(after.length)
  const other = openPeerPods(dir, log).all()
  expect(namesIn(other)).toEqual(namesIn(peers.all()))
  expect(log.entries).toHaveLength(1)
})
