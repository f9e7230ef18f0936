import { setImmediate as nextTurn } from 'node:timers/promises'
import { type PeerNode, type PeerPod, podKey } from '@podwire/api'
import type { KeyValue } from '../etcd/answers.ts'
import type { WatchedChange } from '../etcd/watch.ts'
import { type PodPlace, parsePodKeyName, parsePodRecord, type SharedPod } from '../layout/pod-record.ts'
import { parseKeyName, podCIDROf } from '../layout/pod-subnets.ts'
import type { LeaseEntry } from '../leases/entry.ts'
import { createPlaces, type OwnPlace } from './places.ts'

/** A record of a pod, as it is in etcd. */
interface PodEntry extends SharedPod {
  readonly key: string
  readonly node: string
  readonly lease: string | undefined
  readonly createRevision: number
  /** As it was written, which says whether it is another one. */
  readonly value: string
  readonly bytes: number
}

/** What is kept at most: a node that writes without end must not take all memory of the others. */
export const limits = {
  pods: 65_536,
  bytes: 32 * 2 ** 20,
  podsOfNode: 4_096,
  bytesOfNode: 2 * 2 ** 20,
} as const

/** So many records are read in a row. */
const pieceSize = 250

/** Of refused records, so many are remembered and told. */
const mostRefused = 1_000

/** Pods of all nodes by their records, those that can be so. */
export interface PeerTable {
  /** Takes all records that there are, in pieces: many at once would hold up everything else. */
  replace(entries: readonly KeyValue[]): Promise<void>
  change(changes: readonly WatchedChange[]): void
  /** Leases came or went. Undefined place: this node has none, and no pods of others. */
  place(own: OwnPlace | undefined, leases: ReadonlyMap<string, LeaseEntry>, prefix: string): void
  /** Nodes whose pods may be others than they were when this was asked last. */
  takeDirty(): Set<string>
  /** The nodes that have records, by the names of their leases' keys. */
  nodes(): Iterable<string>
  /** Undefined of this node itself. */
  podsOf(node: string): PeerNode | undefined
  podCIDROf(node: string): string | undefined
  /** Of its records. */
  bytesOf(node: string): number
  /** What can't be, and what was found of two pods of one name, since this was asked last. */
  takeNotes(): string[]
  /** What of it can't be, by key. */
  readonly refused: ReadonlyMap<string, string>
  /** Whether records were left out that there is room for now. */
  takeRoom(): boolean
}

export function createPeerTable(prefix: string): PeerTable {
  const nodes = new Map<string, Map<string, PodEntry>>()
  const bytes = new Map<string, number>()
  const holders = new Map<string, Set<PodEntry>>()
  const refused = new Map<string, string>()
  const dirty = new Set<string>()
  let notes: string[] = []
  let namesTold = new Set<string>()
  let pods = 0
  let allBytes = 0
  let isOverflown = false
  const places = createPlaces()

  function refuse(key: string, reason: string) {
    if (refused.get(key) === reason || refused.size >= mostRefused) return
    refused.set(key, reason)
    notes.push(`${key}: ${reason}`)
  }

  function drop(key: string, node: string) {
    refused.delete(key)
    const entry = nodes.get(node)?.get(key)
    if (!entry) return
    touch(entry)
    nodes.get(node)?.delete(key)
    if (nodes.get(node)?.size === 0) nodes.delete(node)
    const name = podKey(entry)
    holders.get(name)?.delete(entry)
    if (holders.get(name)?.size === 0) holders.delete(name)
    count(entry, -1)
  }

  function count(entry: PodEntry, by: 1 | -1) {
    pods += by
    allBytes += by * entry.bytes
    const left = (bytes.get(entry.node) ?? 0) + by * entry.bytes
    if (left > 0) bytes.set(entry.node, left)
    else bytes.delete(entry.node)
  }

  /** It is part of what others of its name are. */
  function touch(entry: PodEntry) {
    dirty.add(entry.node)
    for (const other of holders.get(podKey(entry)) ?? []) dirty.add(other.node)
  }

  function put({ key, value, lease, createRevision }: KeyValue) {
    const place = key.startsWith(prefix) ? parsePodKeyName(key.slice(prefix.length)) : undefined
    if (!place) return refuse(key.slice(0, 300), 'its name is not that of a pod')
    const { node } = place
    const before = nodes.get(node)?.get(key)
    if (before && isUnchanged(before, value, lease, createRevision)) return
    if (before) drop(key, node)
    refused.delete(key)
    const entry = read(place, key, value, lease, createRevision)
    if (typeof entry === 'string') return refuse(key, entry)
    const ofNode = nodes.get(node) ?? new Map<string, PodEntry>()
    nodes.set(node, ofNode)
    ofNode.set(key, entry)
    const name = podKey(entry)
    holders.set(name, (holders.get(name) ?? new Set()).add(entry))
    count(entry, 1)
    touch(entry)
  }

  /** After a gap everything is heard again. */
  const isUnchanged = (before: PodEntry, value: string, lease: string | undefined, createRevision: number) =>
    before.value === value && before.lease === lease && before.createRevision === createRevision

  function read(
    place: PodPlace,
    key: string,
    value: string,
    lease: string | undefined,
    createRevision: number,
  ): PodEntry | string {
    const pod = parsePodRecord(place, value)
    if (typeof pod === 'string') return pod
    const size = key.length + Buffer.byteLength(value)
    const isTooMuchOfNode =
      (nodes.get(place.node)?.size ?? 0) >= limits.podsOfNode ||
      (bytes.get(place.node) ?? 0) + size > limits.bytesOfNode
    if (isTooMuchOfNode || pods >= limits.pods || allBytes + size > limits.bytes) {
      isOverflown = true
      return `there are too many pods: of one node ${limits.podsOfNode} are known, and of all ${limits.pods}`
    }
    return { ...pod, key, node: place.node, lease, createRevision, value, bytes: size }
  }

  /** Whether its node has what it says, now. */
  function usable({ key, node, lease, addresses }: PodEntry): boolean {
    if (!places.isLeased(node, lease)) return false
    const problem = places.problemOf(node, addresses)
    if (problem === undefined) refused.delete(key)
    else refuse(key, problem)
    return problem === undefined
  }

  /** Whose the name is: the first one's, whatever became of its value since. */
  function nameHolder(entry: PodEntry): PodEntry {
    const all = holders.get(podKey(entry))
    if (!all || all.size === 1) return entry
    const there = [...all].filter(usable)
    return there.reduce((first, other) => (isBefore(other, first) ? other : first), entry)
  }

  /** Both nodes are told when two have a pod of one name. */
  function noteNamesakes(entry: PodEntry, holder: PodEntry) {
    for (const [one, other] of [
      [entry, holder],
      [holder, entry],
    ] as const) {
      if (one === other || !places.isOwn(one.node)) continue
      const note = `pod ${podKey(one)} is on the node of ${textOf(other.node)} too, which had the name ${other === holder ? 'first: elsewhere the name leads there' : 'later: elsewhere the name leads to the one here'}`
      if (namesTold.has(note)) continue
      if (namesTold.size >= mostRefused) namesTold = new Set()
      namesTold.add(note)
      notes.push(note)
    }
  }

  return {
    refused,
    async replace(entries) {
      const there = new Set(entries.map(({ key }) => key))
      isOverflown = false
      for (const [node, ofNode] of nodes)
        for (const key of ofNode.keys()) if (!there.has(key)) drop(key, node)
      for (const key of refused.keys()) if (!there.has(key)) refused.delete(key)
      for (const [at, entry] of entries.entries()) {
        if (at % pieceSize === pieceSize - 1) await nextTurn()
        put(entry)
      }
    },
    change(changes) {
      for (const { change, entry } of changes) {
        if (change === 'put') put(entry)
        else drop(entry.key, parsePodKeyName(entry.key.slice(prefix.length))?.node ?? '')
      }
    },
    place(own, leases, leasePrefix) {
      const isMoved = places.take(own, leases, leasePrefix)
      for (const [node, ofNode] of nodes) {
        if (!isMoved(node)) continue
        for (const entry of ofNode.values()) {
          refused.delete(entry.key)
          touch(entry)
        }
      }
    },
    takeDirty() {
      const taken = new Set(dirty)
      dirty.clear()
      return taken
    },
    nodes: () => nodes.keys(),
    podsOf(node) {
      const entries = [...(nodes.get(node)?.values() ?? [])].filter(usable)
      const pods = entries.map((entry): PeerPod => {
        const holder = nameHolder(entry)
        if (holder !== entry) noteNamesakes(entry, holder)
        const { namespace, name, addresses, annotations } = entry
        return {
          namespace,
          name,
          addresses,
          annotations,
          ...(holder === entry ? {} : { isNamesake: true }),
        }
      })
      const podCIDR = this.podCIDROf(node)
      return podCIDR === undefined ? undefined : { podCIDR, pods }
    },
    podCIDROf(node) {
      const subnets = places.isOwn(node) ? undefined : parseKeyName(node)
      return subnets && podCIDROf(subnets)
    },
    bytesOf: (node) => bytes.get(node) ?? 0,
    takeNotes() {
      const taken = notes
      notes = []
      return taken
    },
    takeRoom() {
      if (!isOverflown || pods > limits.pods * 0.9 || allBytes > limits.bytes * 0.9) return false
      isOverflown = false
      return true
    },
  }
}

/** As leases are shown: `10.244.3.0/24`. */
const textOf = (node: string) => node.replaceAll('-', '/').replace('&', ',')

const isBefore = (one: PodEntry, other: PodEntry) =>
  one.createRevision !== other.createRevision
    ? one.createRevision < other.createRevision
    : one.key < other.key
