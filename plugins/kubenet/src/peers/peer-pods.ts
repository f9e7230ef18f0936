import { statSync } from 'node:fs'
import { join } from 'node:path'
import { errnoOf, type Logger, messageOf, podKey } from '@podwire/api'
import {
  namesIn,
  readFileIfThere,
  removeIfThere,
  sweepTemporaryFiles,
  writeFileWhole,
} from '@podwire/api/files'
import type { KnownChange, KnownNode, KnownPeer } from './parse-change.ts'
import { parsePeerNode } from './parse-change.ts'

/**
 * Pods of other nodes, as the host told of them last: a file for each node. Whichever process sets pods up or mends their rules knows
 * them, though another one was told; and a daemon that is started anew while nobody can be asked.
 */
export interface PeerPods {
  all(): readonly KnownPeer[]
  /** The pod that a name leads to. */
  named(namespace: string, name: string): KnownPeer | undefined
  /** Takes a change, and returns what the nodes that it is about had and have. */
  apply(change: KnownChange): PeersChange
}

export interface PeersChange {
  readonly before: readonly KnownPeer[]
  readonly after: readonly KnownPeer[]
}

// What is written within a tick of the file system's clock after it was read has the same time.
const tickMs = 50

export function openPeerPods(stateDir: string, log: Logger): PeerPods {
  const dir = join(stateDir, 'peers')
  const nodes = new Map<string, { readonly pods: readonly KnownPeer[]; readonly version: string }>()
  const byName = new Map<string, KnownPeer[]>()
  let list: readonly KnownPeer[] | undefined
  let seen: string | undefined
  let seenSettled = false

  function put(file: string, pods: readonly KnownPeer[] | undefined, version = '') {
    for (const pod of nodes.get(file)?.pods ?? []) {
      const key = podKey(pod)
      const left = (byName.get(key) ?? []).filter((one) => one !== pod)
      if (left.length > 0) byName.set(key, left)
      else byName.delete(key)
    }
    if (pods) nodes.set(file, { pods, version })
    else nodes.delete(file)
    for (const pod of pods ?? []) byName.set(podKey(pod), [...(byName.get(podKey(pod)) ?? []), pod])
    list = undefined
  }

  /** Reads what another process wrote since. */
  function refresh() {
    const now = versionOf(dir)
    if (now?.version === seen && seenSettled) return
    seen = now?.version
    seenSettled = now === undefined || Date.now() - now.atMs > tickMs
    const files = new Set(namesIn(dir).filter((name) => name.endsWith('.json')))
    for (const file of nodes.keys()) if (!files.has(file)) put(file, undefined)
    for (const file of files) {
      const version = versionOf(join(dir, file))?.version
      if (version === undefined || nodes.get(file)?.version === version) continue
      put(file, read(file), version)
    }
  }

  function read(file: string): readonly KnownPeer[] {
    try {
      const text = readFileIfThere(join(dir, file))
      const node = text === undefined ? undefined : parsePeerNode(JSON.parse(text))
      return node && fileOf(node.podCIDR) === file ? node.pods : []
    } catch (error) {
      // Nobody's policy allows what is not known.
      log.warn(`kubenet: what is known of another node's pods can't be read: ${messageOf(error)}`, { file })
      return []
    }
  }

  function write({ podCIDR, pods }: KnownNode) {
    const file = fileOf(podCIDR)
    if (pods.length === 0) {
      removeIfThere(join(dir, file))
      put(file, undefined)
      return
    }
    const told = pods.map((pod) => ({ ...pod, addresses: pod.addresses.map(({ address }) => address) }))
    writeFileWhole(join(dir, file), JSON.stringify({ podCIDR, pods: told }))
    put(file, pods, versionOf(join(dir, file))?.version)
  }

  return {
    all() {
      refresh()
      list ??= [...nodes.values()].flatMap(({ pods }) => pods)
      return list
    },
    named(namespace, name) {
      refresh()
      return byName.get(podKey({ namespace, name }))?.find(({ isNamesake }) => !isNamesake)
    },
    apply({ all, changed }) {
      refresh()
      const stay = all && new Set(all.map(fileOf))
      const gone = stay ? [...nodes.keys()].filter((file) => !stay.has(file)) : []
      const of = (files: readonly string[]) => files.flatMap((file) => nodes.get(file)?.pods ?? [])
      const files = [...gone, ...changed.map(({ podCIDR }) => fileOf(podCIDR))]
      const before = of(files)
      if (all) sweepTemporaryFiles(dir)
      for (const file of gone) {
        removeIfThere(join(dir, file))
        put(file, undefined)
      }
      for (const node of changed) write(node)
      // Nobody else writes while this process is told.
      seen = versionOf(dir)?.version
      seenSettled = true
      return { before, after: of(files) }
    },
  }
}

const fileOf = (podCIDR: string) => `${podCIDR.replaceAll('/', '-')}.json`

function versionOf(path: string): { readonly version: string; readonly atMs: number } | undefined {
  try {
    const { ino, mtimeNs } = statSync(path, { bigint: true })
    return { version: `${ino} ${mtimeNs}`, atMs: Number(mtimeNs / 1_000_000n) }
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}
