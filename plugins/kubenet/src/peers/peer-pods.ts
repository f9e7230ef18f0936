import { lstatSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Logger, messageOf, podKey } from '@podwire/api'
import { namesIn, readFileIfThere, sweepTemporaryFiles, writeFileWhole } from '@podwire/api/files'
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

interface PeersChange {
  readonly before: readonly KnownPeer[]
  readonly after: readonly KnownPeer[]
}

/** Of a file: of a node's pods that come to more, a part is known. Far more than a cluster tells. */
const mostBytes = 16 * 2 ** 20

// What is written within a tick of the file system's clock after it was read has the same time.
const tickMs = 50

export function openPeerPods(stateDir: string, log: Logger): PeerPods {
  const dir = join(stateDir, 'peers')
  const nodes = new Map<string, { readonly pods: readonly KnownPeer[]; readonly version: string }>()
  const byName = new Map<string, KnownPeer[]>()
  let list: readonly KnownPeer[] | undefined
  let seen: string | undefined
  let seenSettled = false
  /** It was told that the directory is none. */
  let isTold = false

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
    const files = new Set(isDirectory(now) ? namesIn(dir).filter((name) => name.endsWith('.json')) : [])
    for (const file of nodes.keys()) if (!files.has(file)) put(file, undefined)
    for (const file of files) {
      const version = versionOf(join(dir, file))?.version
      if (version === undefined || nodes.get(file)?.version === version) continue
      put(file, read(file), version)
    }
  }

  function isDirectory(found: Version | undefined): boolean {
    if (!found || found.isDirectory) return found !== undefined
    if (!isTold) log.warn("kubenet: other nodes' pods are not known: this is not a directory", { path: dir })
    isTold = true
    return false
  }

  function read(file: string): readonly KnownPeer[] {
    try {
      const text = readFileIfThere(join(dir, file), mostBytes)
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
      remove(join(dir, file))
      put(file, undefined)
      return
    }
    let bytes = Buffer.byteLength(podCIDR) + 100
    const texts: string[] = []
    for (const pod of pods) {
      const text = JSON.stringify({ ...pod, addresses: pod.addresses.map(({ address }) => address) })
      bytes += Buffer.byteLength(text) + 1
      if (bytes > mostBytes) break
      texts.push(text)
    }
    if (texts.length < pods.length)
      log.warn('kubenet: a node has too many pods: a part of them is known', {
        podCIDR,
        pods: pods.length,
        known: texts.length,
      })
    if (versionOf(join(dir, file))?.isDirectory) remove(join(dir, file))
    writeFileWhole(join(dir, file), `{"podCIDR":${JSON.stringify(podCIDR)},"pods":[${texts.join()}]}`)
    put(file, pods.slice(0, texts.length), versionOf(join(dir, file))?.version)
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
      // What is called like it is this one's, and in the way.
      if (versionOf(dir)?.isDirectory === false) remove(dir)
      refresh()
      const stay = all && new Set(all.map(fileOf))
      const gone = stay ? [...nodes.keys()].filter((file) => !stay.has(file)) : []
      const of = (files: readonly string[]) => files.flatMap((file) => nodes.get(file)?.pods ?? [])
      const files = [...gone, ...changed.map(({ podCIDR }) => fileOf(podCIDR))]
      const before = of(files)
      if (all) sweepTemporaryFiles(dir)
      for (const file of gone) {
        remove(join(dir, file))
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

interface Version {
  readonly version: string
  readonly atMs: number
  readonly isDirectory: boolean
}

/** Of what has the name itself: links are not followed. */
function versionOf(path: string): Version | undefined {
  const found = lstatSync(path, { bigint: true, throwIfNoEntry: false })
  if (!found) return undefined
  const { ino, mtimeNs } = found
  return {
    version: `${ino} ${mtimeNs}`,
    atMs: Number(mtimeNs / 1_000_000n),
    isDirectory: found.isDirectory(),
  }
}

/** Whatever it is; what a link leads to stays. */
const remove = (path: string) => rmSync(path, { recursive: true, force: true })
