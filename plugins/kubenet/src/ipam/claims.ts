import { closeSync, constants, mkdirSync, openSync, readlinkSync, symlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { errnoOf } from '@podwire/api'
import { namesIn, readFileIfThere } from '@podwire/api/files'
import { familyOf } from './cidr.ts'
import type { FormerAddresses } from './former-addresses.ts'

/**
 * Which address is whose: for each a symbolic link that names its owner, as making a link is the one step that claims and
 * tells by whom. Several processes may share the directory.
 */
export interface Claims {
  /** True when the address is the sandbox's now; false when it is another's. */
  claim(address: string, sandboxId: string): boolean
  release(address: string, sandboxId: string): void
  /** Whose the address is. */
  ownerOf(address: string): string | undefined
  claimed(): string[]
  /** The address of this family given out last, by whichever process. */
  lastClaimed(family: 4 | 6): string | undefined
  close(): void
}

const longestAddress = 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'.length

/** @param former told of each address that is given back */
export function openClaims(stateDir: string, former: FormerAddresses): Claims {
  const dir = join(stateDir, 'addresses')
  const lastFile = (family: number) => join(stateDir, `last-ipv${family}`)
  const hints = new Map<number, number>()

  function ownerOf(address: string): string | undefined {
    try {
      return decodeURIComponent(readlinkSync(join(dir, address)))
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined
      // Not what this package made: somebody's, and so not free.
      if (errnoOf(error) === 'EINVAL' || error instanceof URIError) return ''
      throw error
    }
  }

  function link(address: string, sandboxId: string) {
    symlinkSync(encodeURIComponent(sandboxId), join(dir, address))
  }

  function claim(address: string, sandboxId: string): boolean {
    try {
      try {
        link(address, sandboxId)
      } catch (error) {
        if (errnoOf(error) !== 'ENOENT') throw error
        mkdirSync(dir, { recursive: true, mode: 0o700 })
        link(address, sandboxId)
      }
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error
      return ownerOf(address) === sandboxId
    }
    hintAt(address)
    return true
  }

  // Only a hint for where to go on: a torn write costs nothing but the hint. Always of one length, over the one before.
  function hintAt(address: string) {
    const family = address.includes(':') ? 6 : 4
    const fd = hints.get(family) ?? openSync(lastFile(family), hintFlags, 0o600)
    hints.set(family, fd)
    writeSync(fd, address.padEnd(longestAddress), 0)
  }

  return {
    claim,
    release(address, sandboxId) {
      if (ownerOf(address) === sandboxId) former.retire(join(dir, address), address)
    },
    ownerOf,
    claimed: () => namesIn(dir).filter((name) => familyOf(name) !== undefined),
    lastClaimed(family) {
      const address = readFileIfThere(lastFile(family))?.trim() ?? ''
      return familyOf(address) === family ? address : undefined
    },
    close() {
      for (const fd of hints.values()) closeSync(fd)
      hints.clear()
    },
  }
}

const { O_CREAT, O_NOFOLLOW, O_TRUNC, O_WRONLY } = constants
const hintFlags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW
