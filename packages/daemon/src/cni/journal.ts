import { lstatSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { type Logger, messageOf } from '@podwire/api'
import { namesIn, removeIfThere } from '@podwire/api/files'
import type { HostEmitter } from '@podwire/core'
import { readWhole } from './read-whole.ts'

/** What became of an entry: it can go, it never can be carried out, or it may be tried again. */
export type Outcome = (
  | { readonly done: true }
  | { readonly done: false; readonly isBroken: boolean; readonly reason: string }
) & {
  /** The sandbox that it is about, where that is known. */
  readonly sandboxId?: string | undefined
}

/** What was to be detached while no daemon answered: a file for each. */
export interface Journal {
  /**
   * Carries out all that is in it now, and waits for what of it is under way. Never rejects.
   * @param sandboxId what is about this one is tried again, though it failed a moment ago
   */
  carryOut(sandboxId?: string): Promise<void>
  /** Whether something about a sandbox is still to be tried again: it would take away what is attached meanwhile. */
  isPending(sandboxId: string): boolean
}

interface JournalParts {
  /** Where the executable that runtimes call leaves them. */
  readonly dir: string
  readonly carryOutOne: (body: Uint8Array) => Promise<Outcome>
  readonly events: Pick<HostEmitter, 'emit'>
  readonly log: Logger
  /** How large an entry may be. Bytes. */
  readonly largest: number
}

const entryName = /^[0-9a-f]{32}$/

/** An entry that failed is left alone so long: what is asked meanwhile need not wait for it again. Milliseconds. */
const retryMs = 10_000
/** A half-written entry is nobody's any more after this: whoever writes one gives up before. Milliseconds. */
const abandonedMs = 120_000

/** When an entry failed, by `performance.now()`, and what it is about. */
interface Failed {
  readonly at: number
  readonly sandboxId: string | undefined
}

export function createJournal(parts: JournalParts): Journal {
  const { dir, log } = parts
  const failed = new Map<string, Failed>()
  let running: Promise<void> | undefined
  let told = ''

  const entries = (sandboxId: string | undefined): string[] => {
    let names: string[]
    try {
      names = namesIn(dir)
      if (names.length > 0) assertOwn(dir)
      told = ''
    } catch (error) {
      // Said once: it is asked before each call.
      const reason = messageOf(error)
      if (reason !== told) log.error(`${dir}: what was detached without a daemon can't be read: ${reason}`)
      told = reason
      return []
    }
    for (const name of names) if (name.startsWith('.')) sweep(join(dir, name))
    for (const name of failed.keys()) if (!names.includes(name)) failed.delete(name)
    const isDue = (before: Failed | undefined) =>
      !before ||
      performance.now() - before.at >= retryMs ||
      (sandboxId !== undefined && before.sandboxId === sandboxId)
    return names.filter((name) => entryName.test(name) && isDue(failed.get(name)))
  }

  const carryOutAll = async (names: readonly string[]) => {
    await Promise.all(names.map((name) => carryOutEntry(parts, name, failed)))
  }

  return {
    carryOut: async (sandboxId) => {
      // Those that came while others were carried out are this caller's too.
      while (running) await running
      const names = entries(sandboxId)
      if (names.length === 0) return
      running = carryOutAll(names).finally(() => {
        running = undefined
      })
      await running
    },
    isPending: (sandboxId) => [...failed.values()].some((one) => one.sandboxId === sandboxId),
  }
}

async function carryOutEntry(
  { dir, largest, carryOutOne, events, log }: JournalParts,
  name: string,
  failed: Map<string, Failed>,
): Promise<void> {
  const file = join(dir, name)
  const setAside = (reason: string) => {
    const movedTo = `${file}.unreadable`
    renameSync(file, movedTo)
    log.warn(`${file}: ${reason}; nothing is detached by it, and it is kept as ${movedTo}`)
    events.emit('state:set-aside', { file, movedTo, reason })
  }
  let sandboxId: string | undefined
  const tryAgain = () => failed.set(name, { at: performance.now(), sandboxId })
  try {
    const body = readWhole(file, largest)
    if (body === undefined) return
    const outcome =
      typeof body === 'string'
        ? { done: false as const, isBroken: true, reason: body, sandboxId: undefined }
        : await carryOutOne(body)
    sandboxId = outcome.sandboxId
    if (outcome.done) {
      removeIfThere(file)
      failed.delete(name)
      log.info(`carried out what was detached without a daemon: ${name}`)
    } else if (outcome.isBroken) setAside(outcome.reason)
    else {
      tryAgain()
      log.warn(`${file}: could not be detached, and is tried again: ${outcome.reason}`)
    }
  } catch (error) {
    tryAgain()
    log.error(`${file}: ${messageOf(error)}`)
  }
}

/** Whoever may write there has pods detached. */
function assertOwn(dir: string): void {
  const found = lstatSync(dir)
  const { uid, mode } = found
  if (!found.isDirectory()) throw new Error('it is not a directory')
  const own = process.getuid?.() ?? 0
  if (uid !== own && uid !== 0) throw new Error(`it belongs to user ${uid}`)
  if ((mode & 0o022) !== 0) throw new Error('others may write there')
}

function sweep(file: string): void {
  try {
    if (Date.now() - lstatSync(file).mtimeMs > abandonedMs) removeIfThere(file)
  } catch {
    // It is there no more, or stays: what begins with a dot is in nobody's way.
  }
}
