import { hash } from 'node:crypto'

/** What the names of all links that lead to pods begin with. */
export const LINK_PREFIX = 'pw'

const isOurs = /^pwi?[0-9a-f]{12}$/

export interface PodLinkNames {
  /** The host's end of the pod's veth pair, a port of the bridge. */
  readonly host: string
  /** The ifb through which what the pod sends is shaped. */
  readonly egress: string
}

/** The names follow from the sandbox's ID, so that they are found again without any record. */
export function podLinkNames(sandboxId: string): PodLinkNames {
  const digest = hash('sha256', sandboxId).slice(0, 12)
  return { host: `${LINK_PREFIX}${digest}`, egress: `${LINK_PREFIX}i${digest}` }
}

export const isPodLinkName = (name: string) => isOurs.test(name)
