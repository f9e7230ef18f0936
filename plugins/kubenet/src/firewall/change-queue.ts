import { elementKey, type PortElement } from './port-elements.ts'

type Elements = readonly PortElement[]

interface Change {
  readonly added: Elements
  readonly removed: Elements
  resolve(): void
  reject(error: unknown): void
}

/**
 * Collects the changes of one turn of the event loop into one transaction, which all or none of them are part of. When it
 * is refused, each change is tried by itself, so that only the one at fault fails.
 * @param attempt runs a transaction
 * @param limit how many elements a transaction takes
 */
export function createChangeQueue(attempt: (added: Elements, removed: Elements) => void, limit: number) {
  const queue: Change[] = []

  function flush() {
    const changes = takeTransaction()
    if (queue.length > 0) setImmediate(flush)
    try {
      attempt(
        changes.flatMap(({ added }) => added),
        changes.flatMap(({ removed }) => removed),
      )
      for (const { resolve } of changes) resolve()
    } catch (error) {
      if (changes.length === 1) changes[0]?.reject(error)
      else for (const change of changes) attemptAlone(change)
    }
  }

  /** As many changes as one transaction holds; one at least, and none that takes back what one before it adds. */
  function takeTransaction(): Change[] {
    let elements = 0
    const pending = new Set<string>()
    const end = queue.findIndex(({ added, removed }) => {
      elements += added.length + removed.length
      if (elements > limit || removed.some((element) => pending.has(elementKey(element)))) return true
      for (const element of added) pending.add(elementKey(element))
      return false
    })
    return queue.splice(0, end === -1 ? queue.length : Math.max(1, end))
  }

  function attemptAlone({ added, removed, resolve, reject }: Change) {
    try {
      attempt(added, removed)
      resolve()
    } catch (error) {
      reject(error)
    }
  }

  return (added: Elements, removed: Elements): Promise<void> => {
    if (added.length === 0 && removed.length === 0) return Promise.resolve()
    return new Promise((resolve, reject) => {
      if (queue.length === 0) setImmediate(flush)
      queue.push({ added, removed, resolve, reject })
    })
  }
}
