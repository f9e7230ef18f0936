import { randomInt } from 'node:crypto'
import { links, type Netlink, openNetlink } from '@podwire/netlink'
import { findLink } from './bridge.ts'

/** Deletes links, many at a time: the kernel waits as long for a hundred as for one. */
export interface Reaper {
  /** Cuts the links off now; resolves when the kernel has forgotten them. Those that aren't there are no error. */
  remove(names: readonly string[]): Promise<void>
  /** While it deletes, the kernel holds a lock that other changes of links wait for. */
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

/** @param netlink to mark links with; deletions go through a socket of their own */
export function createReaper(netlink: Netlink): Reaper {
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
      await Promise.all(marks)
      await deletions.run(links.delGroup(group))
    } catch (error) {
      // Their namespaces went, and took them along.
      if (!isGone(error)) throw error
    } finally {
      running--
    }
  }

  async function mark(index: number, isPort: boolean, group: number) {
    const requests = [
      links.set(index, { group }),
      ...(isPort ? [links.setBridgePort(index, { enabled: false })] : []),
    ]
    try {
      await (running > 0 ? netlink.batch(requests) : netlink.batchSync(requests))
    } catch (error) {
      if (!isGone(error)) throw error
    }
  }

  return {
    async remove(names) {
      const found = names.flatMap((name) => findLink(netlink, name) ?? [])
      if (found.length === 0) return
      const batch = collect()
      for (const link of found) batch.marks.push(mark(link.index, link.master !== undefined, batch.group))
      await batch.done
    },
    isBusy: () => running > 0,
    close: () => void last.then(() => deletions.close()),
  }
}

const isGone = (error: unknown) => (error as { code?: string }).code === 'ENODEV'
const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve))
