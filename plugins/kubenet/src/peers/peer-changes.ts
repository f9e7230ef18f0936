import type { EventDetails } from '@podwire/api'
import { errors } from '../errors.ts'
import { type KnownChange, type KnownPeer, parsePeerPodsChange } from './parse-change.ts'
import type { PeerPods } from './peer-pods.ts'

/** What comes of what the host tells of other nodes' pods: it is written down, and policies go by it. */
export interface PeerChanges {
  /** @throws PodwireError `PEER_PODS_INVALID`; else the kernel's, and then the next change brings about this one too */
  apply(details: EventDetails): Promise<void>
}

interface PeerChangesContext {
  readonly peers: Pick<PeerPods, 'all' | 'apply'>
  /** Whether an address is of this node's pods. */
  isOwn(address: string): boolean
  exchange(before: readonly KnownPeer[], after: readonly KnownPeer[]): Promise<void>
}

export function createPeerChanges({ peers, isOwn, exchange }: PeerChangesContext): PeerChanges {
  /** What policies may still have of other nodes' pods, where the kernel refused a change. */
  let owed: readonly KnownPeer[] | undefined
  // One after the other, as each takes its time.
  let last: Promise<void> = Promise.resolve()

  async function applyNow(change: KnownChange) {
    // Known first: a policy that is made meanwhile, by whichever process, has them, or is seen below.
    const { before, after } = peers.apply(withoutOwn(change))
    const left = owed
    owed = [...(left ?? []), ...before]
    // How much of the earlier change came about is not known: all of it is taken out, and what there is brought in.
    if (left) await exchange(owed, [])
    await exchange(left ? [] : before, left ? peers.all() : after)
    owed = undefined
  }

  /** This node's addresses are its own pods', whatever is said of others. */
  function withoutOwn({ changed, ...all }: KnownChange): KnownChange {
    return {
      ...all,
      changed: changed.map(({ podCIDR, pods }) => ({
        podCIDR,
        pods: pods.filter(({ addresses }) => !addresses.some(({ address }) => isOwn(address))),
      })),
    }
  }

  return {
    async apply(details) {
      const change = parse(details)
      const mine = last.then(() => applyNow(change))
      last = mine.catch(() => {})
      return mine
    },
  }
}

function parse(details: EventDetails): KnownChange {
  try {
    return parsePeerPodsChange(details)
  } catch (cause) {
    throw errors.PEER_PODS_INVALID({}, cause)
  }
}
