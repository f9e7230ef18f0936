import { randomUUID } from 'node:crypto'
import { existsSync, lstatSync, mkdirSync, renameSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { errnoOf, ignoring } from '@podwire/api'
import { namesIn, removeIfThere, writeFileWhole } from '@podwire/api/files'
import { type AddressRange, contains, parseCidr } from './cidr.ts'

/**
 * Addresses that pods had and gave back. The kernel may remember connections of theirs, with which whoever has the address next must
 * not go on; of an address that nobody had since the kernel was made to forget there are none, and nothing need be looked for. Several
 * processes may share the directory.
 */
export interface FormerAddresses {
  /** Takes a claim's file away, and remembers that there was one. */
  retire(claim: string, address: string): void
  /** Whether nobody had the address since its network was swept. */
  isFresh(address: string): boolean
  /** What was swept is no longer: for a moment packets to addresses of nobody may have gone elsewhere, and come to be remembered. */
  forgetSweeps(): void
  /** Begins to make the kernel forget what it knows of addresses of these networks; before that is looked for. */
  beginSweep(networks: readonly string[]): Sweep
}

interface Sweep {
  /** The kernel has forgotten all but the connections of those who have an address. */
  finish(isForgotten: (address: string) => boolean): void
}

// More are not told apart: they are swept together.
const MOST = 512

export function openFormerAddresses(stateDir: string): FormerAddresses {
  /** For each address a directory, as what is found there before a sweep goes after it, and what came meanwhile stays. */
  const former = join(stateDir, 'former-addresses')
  /** For each network that was swept a file. */
  const swept = join(stateDir, 'swept-networks')
  const ranges = new Map<string, AddressRange>()
  let known: number | undefined
  /** Of those, the ones that this process swept: of earlier times nobody knows what went on between. */
  const sweptHere = new Set<string>()

  function retire(claim: string, address: string) {
    try {
      known = (known ?? namesIn(former).length) + 1
      if (known > MOST) startAnew()
      remember(claim, address)
    } catch (error) {
      if (!lstatSync(claim, { throwIfNoEntry: false })) return
      // A disk that is full keeps no address: then nobody knows of any whether it is fresh.
      if (errnoOf(error) !== 'EROFS') startAnew()
      removeIfThere(claim)
    }
  }

  function remember(claim: string, address: string) {
    const own = join(former, address)
    const move = () => {
      mkdirSync(own, { recursive: true, mode: 0o700 })
      renameSync(claim, join(own, LAST))
    }
    try {
      move()
    } catch (error) {
      // A sweep took the directory away this very moment.
      if (errnoOf(error) !== 'ENOENT') throw error
      move()
    }
  }

  function startAnew() {
    known = 0
    // First, as without it nothing else says anything.
    for (const name of namesIn(swept)) removeIfThere(join(swept, name))
    try {
      for (const address of namesIn(former)) take(address, marksOf(address))
    } catch (error) {
      ignoring('ENOTDIR')(error)
    }
  }

  function take(address: string, found: readonly string[]) {
    const own = join(former, address)
    for (const name of found) removeIfThere(join(own, name))
    try {
      rmdirSync(own)
    } catch (error) {
      // It was somebody's again meanwhile.
      ignoring('ENOTEMPTY', 'EEXIST', 'ENOENT')(error)
    }
  }

  /** What is there of an address now, under names that nothing which comes later has. */
  function marksOf(address: string): string[] {
    const own = join(former, address)
    // A link, or whatever else is there, is nothing of ours, and nothing is done by way of it.
    if (!lstatSync(own, { throwIfNoEntry: false })?.isDirectory()) {
      removeIfThere(own)
      return []
    }
    try {
      renameSync(join(own, LAST), join(own, randomUUID()))
    } catch (error) {
      ignoring('ENOENT')(error)
    }
    return namesIn(own).filter((name) => name !== LAST)
  }

  function isSwept(address: string): boolean {
    return [...sweptHere].some((name) => {
      const range = ranges.get(name) ?? parseCidr(name.replace('_', '/'))
      if (range) ranges.set(name, range)
      return range !== undefined && contains(range, address) && existsSync(join(swept, name))
    })
  }

  return {
    retire,
    forgetSweeps: () => sweptHere.clear(),
    isFresh: (address) => isSwept(address) && !existsSync(join(former, address)),
    beginSweep(networks) {
      const begun = networks.map((network) => ({
        begun: join(swept, `begun-${randomUUID()}`),
        done: join(swept, nameOf(network)),
      }))
      for (const network of networks) sweptHere.add(nameOf(network))
      for (const one of begun) writeFileWhole(one.begun, '')
      const marks = namesIn(former).map((address) => ({ address, found: marksOf(address) }))
      return {
        finish(isForgotten) {
          const forgotten = marks.filter(({ address }) => isForgotten(address))
          for (const { address, found } of forgotten) take(address, found)
          known = marks.length - forgotten.length
          for (const one of begun) finishOne(one)
        },
      }
    },
  }
}

// Where it was taken away, somebody could not remember an address since.
function finishOne({ begun, done }: { readonly begun: string; readonly done: string }) {
  try {
    renameSync(begun, done)
  } catch (error) {
    ignoring('ENOENT')(error)
  }
}

const nameOf = (network: string) => network.replace('/', '_')

const LAST = 'last'
