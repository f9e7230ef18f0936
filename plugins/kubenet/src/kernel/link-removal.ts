import { randomInt } from 'node:crypto'
import { errnoOf, ignoring } from '@podwire/api'
import { links, openNetlink } from '@podwire/netlink'
import type { Requests } from './requests.ts'
import { nextTurn } from './scheduling.ts'

/** Deletes links, many at a time: the kernel waits as long for a hundred as for one. */
export interface LinkRemoval {
  remove(names: readonly string[]): Promise<void>
  /** Whether the kernel is at it. */
  isBusy(): boolean
  close(): void
}

interface Batch {
  readonly group: number
  readonly marks: Promise<unknown>[]
  readonly done: Promise<void>
}

// The kernel holds its lock for the whole batch, so that others should get a turn in between.
const maxBatchLinks = 128

/** @param requests to mark links with; deletions go through a socket of their own */
export function createLinkRemoval(requests: Requests): LinkRemoval {
  const deletions = openNetlink()
  let collecting: Batch | undefined
  let last: Promise<unknown> = Promise.resolve()
  let running = 0

  function collect(): Batch {
    if (collecting && collecting.marks.length < maxBatchLinks) return collecting
    // Another process deletes groups of its own at the same time, so that the number must be nobody else's.
    const batch: { group: number; marks: Promise<unknown>[] } = { group: randomInt(1, 2 ** 31), marks: [] }
    // One after the other, and each takes what comes until its turn.
    const done = last.then(nextTurn).then(() => deleteBatch(batch))
    last = done.catch(() => {})
    collecting = { ...batch, done }
    return collecting
  }

  async function deleteBatch({ group, marks }: Pick<Batch, 'group' | 'marks'>) {
    if (collecting?.group === group) collecting = undefined
    running++
    try {
      // One that could not be marked is its own pod's trouble.
      await Promise.allSettled(marks)
      // Their namespaces may have gone, and taken them along.
      await deletions.run(links.delGroup(group)).catch(ignoring('ENODEV'))
    } finally {
      running--
    }
  }

  async function mark(index: number, isPort: boolean, group: number) {
    try {
      await requests.run(links.set(index, { group, ...(isPort ? { bridgePort: { enabled: false } } : {}) }))
    } catch (error) {
      const code = errnoOf(error) ?? ''
      if (code === 'ENODEV') return
      // A bridge that runs STP keeps its ports' states to itself, one that has just gone has no ports, and a link that was never
      // up is cut off already.
      if (!isPort || !['EBUSY', 'EINVAL', 'EOPNOTSUPP', 'ENETDOWN'].includes(code)) throw error
      await mark(index, false, group)
    }
  }

  return {
    async remove(names) {
      const looked = await Promise.all(names.map(requests.findLink))
      const found = looked.filter((link) => link !== undefined)
      if (found.length === 0) return
      const batch = collect()
      const marks = found.map((link) => mark(link.index, link.master !== undefined, batch.group))
      batch.marks.push(...marks)
      await Promise.all([...marks, batch.done])
    },
    isBusy: () => running > 0,
    close: () => void last.then(() => deletions.close()),
  }
}
