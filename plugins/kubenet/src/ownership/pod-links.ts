import { hash } from 'node:crypto'
import { type PodRef, podKey } from '@podwire/api'
import type { Link } from '@podwire/netlink'
import { markOf, parseMark } from './mark.ts'

/** What the names of all links that lead to pods begin with. */
export const LINK_PREFIX = 'pw'

const namePattern = /^pwi?[0-9a-f]{12}$/

interface PodLinkNames {
  /** The host's end of the pod's veth pair. */
  readonly host: string
  /** The ifb through which what the pod sends is shaped. */
  readonly egress: string
}

/**
 * The links of one state directory's pods. Names follow from the directory's id and the sandbox's, so that they are found again
 * without a record and no two hosts of a machine choose the same; each link carries the id in its alias, so that nobody
 * takes another's for garbage.
 */
export interface PodLinks {
  names(sandboxId: string): PodLinkNames
  /** What a pod's link carries, and people read in `ip link`. */
  alias(pod: PodRef): string
  isOwn(link: Pick<Link, 'name' | 'alias'>): boolean
}

/** @param stateId tells the state directory from all others; may be another one at a later call */
export function createPodLinks(stateId: () => string): PodLinks {
  return {
    names(sandboxId) {
      const digest = hash('sha256', `${stateId()} ${sandboxId}`).slice(0, 12)
      return { host: `${LINK_PREFIX}${digest}`, egress: `${LINK_PREFIX}i${digest}` }
    },
    alias: (pod) => markOf(stateId(), podKey(pod)),
    isOwn: ({ name, alias }) => isPodLinkName(name) && parseMark(alias)?.stateId === stateId(),
  }
}

/** Whether a link leads to a pod, of whichever host. */
export const isPodLinkName = (name: string) => namePattern.test(name)
