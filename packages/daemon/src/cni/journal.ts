import { lstatSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Logger, messageOf } from '@podwire/api'
import { namesIn } from '@podwire/api/files'
import type { HostEmitter } from '@podwire/core'
import { readWhole } from './read-whole.ts'

/** What became of an entry: it can go, it never can be carried out, or it may be tried again. */
export type Outcome =
  | { readonly done: true }
  | { readonly done: false; readonly isBroken: boolean; readonly reason: string }

/** What was to be detached while no daemon answered: a file for each. */
export interface Journal {
  /** Carries out all that is in it now, and waits for what of it is under way. Never rejects. */
  carryOut(): Promise<void>
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

export function createJournal(parts: JournalParts): Journal {
  const { dir, log } = parts
  const failedAt = new Map<string, number>()
  let running: Promise<void> | undefined
  let told = ''

  const entries = (): string[] => {
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
    for (const name of failedAt.keys()) if (!names.includes(name)) failedAt.delete(name)
    return names.filter(
      (name) => entryName.test(name) && performance.now() - (failedAt.get(name) ?? -retryMs) >= retryMs,
    )
  }

  const carryOutAll = async (names: readonly string[]) => {
    await Promise.all(names.map((name) => carryOutEntry(parts, name, failedAt)))
  }

  return {
    carryOut: async () => {
      // Those that came while others were carried out are this caller's too.
      while (running) await running
      const names = entries()
      if (names.length === 0) return
      running = carryOutAll(names).finally(() => {
        running = undefined
      })
      await running
    },
  }
}

async function carryOutEntry(
  { dir, largest, carryOutOne, events, log }: JournalParts,
  name: string,
  failedAt: Map<string, number>,
): Promise<void> {
  const file = join(dir, name)
  const setAside = (reason: string) => {
    const movedTo = `${file}.unreadable`
    renameSync(file, movedTo)
    log.warn(`${file}: ${reason}; nothing is detached by it, and it is kept as ${movedTo}`)
    events.emit('state:set-aside', { file, movedTo, reason })
  }
  try {
    const body = readWhole(file, largest)
    if (body === undefined) return
    const outcome =
      typeof body === 'string'
        ? { done: false as const, isBroken: true, reason: body }
        : await carryOutOne(body)
    if (outcome.done) {
      rmSync(file, { force: true })
      log.info(`carried out what was detached without a daemon: ${name}`)
    } else if (outcome.isBroken) setAside(outcome.reason)
    else {
      failedAt.set(name, performance.now())
      log.warn(`${file}: could not be detached, and is tried again: ${outcome.reason}`)
    }
  } catch (error) {
    failedAt.set(name, performance.now())
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
    if (Date.now() - lstatSync(file).mtimeMs > abandonedMs) rmSync(file, { force: true })
  } catch {
    // It is there no more, or stays: what begins with a dot is in nobody's way.
  }
}
