import { isSamePod, type PodRecord } from '../pod-record.ts'
import type { PodOfRules } from './pod-sets.ts'

/** Whom policies may be of, and may be about. */
export interface KnownPods {
  /** Undefined for what isn't there or can't be read. */
  read(sandboxId: string): PodRecord | undefined
  /** All pods of this node, with those of which nobody knows what they may do. */
  recorded(): { readonly sandboxId: string; readonly record: PodRecord | 'unreadable' | undefined }[]
  /** A pod that is being torn down is part of no policy, and has none, as soon as nothing can come from it or reach it. */
  isPresent(pod: PodRecord): boolean
  /** Not where another process tore it down, or set another one up there. */
  isKept(pod: PodRecord): boolean
  /** Those of this node that are present. */
  own(): readonly PodRecord[]
  /** Those of other nodes. */
  peers(): readonly PodOfRules[]
}

export interface KnownPodsContext {
  linkOf(sandboxId: string): string
  hasLink(name: string): boolean
  read(sandboxId: string): PodRecord | undefined
  ids(): string[]
  peers(): readonly PodOfRules[]
}

export function createKnownPods({ linkOf, hasLink, read, ids, peers }: KnownPodsContext): KnownPods {
  function readOr<T>(sandboxId: string, unreadable: T) {
    try {
      return read(sandboxId)
    } catch {
      return unreadable
    }
  }

  const isPresent = ({ leaving, sandboxId }: PodRecord) => !leaving || hasLink(linkOf(sandboxId))

  return {
    read: (sandboxId) => readOr(sandboxId, undefined),
    recorded: () =>
      ids().map((sandboxId) => ({ sandboxId, record: readOr(sandboxId, 'unreadable' as const) })),
    isPresent,
    isKept(pod) {
      const now = readOr(pod.sandboxId, undefined)
      return now !== undefined && !now.leaving && isSamePod(now, pod)
    },
    own: () =>
      ids()
        .flatMap((sandboxId) => readOr(sandboxId, undefined) ?? [])
        .filter(isPresent),
    peers,
  }
}
