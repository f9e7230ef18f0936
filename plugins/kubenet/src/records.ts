import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import type { Bandwidth, PodRef, PortMapping } from '@podwire/api'
import { netnsId } from '@podwire/netlink'
import { recordUnreadable } from './errors.ts'

/** One address of a pod, and the way out from it. */
export interface PodAddress {
  readonly address: string
  readonly prefixLength: number
  readonly gateway: string
}

/** All that is needed to check a pod's network, to make it anew and to take it away. */
export interface PodRecord extends PodRef {
  readonly netns: { readonly path: string; readonly dev: number; readonly ino: number }
  /** The interface inside the sandbox. */
  readonly interfaceName: string
  readonly mtu: number
  /** The primary one first. */
  readonly addresses: readonly PodAddress[]
  readonly ports: readonly PortMapping[]
  readonly bandwidth: Bandwidth
  /** Its tear-down has begun: nothing of it is to be put back. */
  readonly leaving?: true
}

/**
 * What outlives a process: a file for each pod, and for each address a symbolic link that names its owner, as making a
 * link is the one step that claims and tells by whom. Several processes may share the directory. A pod's record is there
 * before anything else of the pod and goes last, so that whatever has no record is garbage.
 */
export interface Records {
  read(sandboxId: string): PodRecord | undefined
  write(record: PodRecord): void
  remove(sandboxId: string): void
  /** The sandboxes that have a record. */
  ids(): string[]
  /** Every pod whose record can be read. */
  list(): PodRecord[]
  /** The same in pieces, as a thousand files read in one go would hold up everything else. */
  readAll(onUnreadable?: (error: Error) => void): Promise<PodRecord[]>
  /** True when the address is the sandbox's now; false when it is another's. */
  claim(address: string, sandboxId: string): boolean
  release(address: string, sandboxId: string): void
  /** Whose the address is. */
  ownerOf(address: string): string | undefined
  claimed(): string[]
  /** The address of this family given out last, by whichever process. */
  lastClaimed(family: 4 | 6): string | undefined
  /** Removes what a process that was killed half-way through a write has left. */
  sweep(): void
  close(): void
}

const longestAddress = 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'.length

/** Whether the pod's namespace is still the one that it was set up in. */
export function isNetnsOf({ netns }: PodRecord): boolean {
  try {
    const { dev, ino } = netnsId(netns.path)
    return dev === netns.dev && ino === netns.ino
  } catch (error) {
    // Whatever else fails says nothing about the namespace.
    if (['ENOENT', 'ENOTDIR', 'ERR_NOT_NETNS'].includes(codeOf(error) ?? '')) return false
    throw error
  }
}

export function openRecords(stateDir: string): Records {
  const pods = join(stateDir, 'pods')
  const addresses = join(stateDir, 'addresses')
  const fileOf = (sandboxId: string) => join(pods, `${encodeURIComponent(sandboxId)}.json`)
  const lastFile = (family: number) => join(stateDir, `last-ipv${family}`)
  const hints = new Map<number, number>()
  let isMade = false

  function make() {
    if (isMade) return
    for (const dir of [pods, addresses]) mkdirSync(dir, { recursive: true, mode: 0o700 })
    isMade = true
  }

  function read(sandboxId: string): PodRecord | undefined {
    const file = fileOf(sandboxId)
    // Asked first, as an error takes longer to make than all else here, and of a new pod there is none.
    const text = existsSync(file) ? unlessMissing(() => readFileSync(file, 'utf8')) : undefined
    if (text === undefined) return undefined
    try {
      return parseRecord(JSON.parse(text))
    } catch (error) {
      throw recordUnreadable(file, error)
    }
  }

  function readOr(sandboxId: string, onUnreadable: (error: Error) => void = () => {}): PodRecord[] {
    try {
      return [read(sandboxId)].filter((record) => record !== undefined)
    } catch (error) {
      onUnreadable(error as Error) // read throws nothing else
      return []
    }
  }

  function ids(): string[] {
    const names = unlessMissing(() => readdirSync(pods)) ?? []
    return names
      .filter((name) => name.endsWith('.json'))
      .map((name) => decodeURIComponent(name.slice(0, -'.json'.length)))
  }

  function ownerOf(address: string): string | undefined {
    const target = unlessMissing(() => readlinkSync(join(addresses, address)))
    return target === undefined ? undefined : decodeURIComponent(target)
  }

  function claim(address: string, sandboxId: string): boolean {
    make()
    try {
      symlinkSync(encodeURIComponent(sandboxId), join(addresses, address))
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error
      return ownerOf(address) === sandboxId
    }
    hintAt(address)
    return true
  }

  // Only a hint for where to go on: a torn write costs nothing but the hint. Always of one length, over the one before.
  function hintAt(address: string) {
    const family = address.includes(':') ? 6 : 4
    const fd = hints.get(family) ?? openSync(lastFile(family), 'w', 0o600)
    hints.set(family, fd)
    writeSync(fd, address.padEnd(longestAddress), 0)
  }

  return {
    read,
    write(record) {
      make()
      const temporary = `${fileOf(record.sandboxId)}.${process.pid}.tmp`
      const save = () => writeFileSync(temporary, JSON.stringify(record), { mode: 0o600 })
      try {
        save()
      } catch (error) {
        if (codeOf(error) !== 'ENOENT') throw error
        // Someone removed the directory.
        isMade = false
        make()
        save()
      }
      renameSync(temporary, fileOf(record.sandboxId))
    },
    remove: (sandboxId) => rmSync(fileOf(sandboxId), { force: true }),
    ids,
    list: () => ids().flatMap((sandboxId) => readOr(sandboxId)),
    async readAll(onUnreadable) {
      const found: PodRecord[] = []
      for (const [index, sandboxId] of ids().entries()) {
        if (index % 64 === 63) await setImmediate()
        found.push(...readOr(sandboxId, onUnreadable))
      }
      return found
    },
    claim,
    release(address, sandboxId) {
      if (ownerOf(address) === sandboxId) rmSync(join(addresses, address), { force: true })
    },
    ownerOf,
    claimed: () => unlessMissing(() => readdirSync(addresses)) ?? [],
    lastClaimed: (family) => unlessMissing(() => readFileSync(lastFile(family), 'utf8').trim()),
    sweep() {
      for (const name of unlessMissing(() => readdirSync(pods)) ?? []) {
        const [, pid] = /\.(\d+)\.tmp$/.exec(name) ?? []
        if (pid && !isAlive(Number(pid))) rmSync(join(pods, name), { force: true })
      }
    },
    close() {
      for (const fd of hints.values()) closeSync(fd)
      hints.clear()
    },
  }
}

function parseRecord(value: unknown): PodRecord {
  const record = value as Partial<PodRecord> | null // looked at field by field below
  const isRecord =
    typeof record?.sandboxId === 'string' &&
    typeof record.name === 'string' &&
    typeof record.namespace === 'string' &&
    typeof record.interfaceName === 'string' &&
    typeof record.mtu === 'number' &&
    typeof record.netns?.path === 'string' &&
    Array.isArray(record.addresses) &&
    record.addresses.every(
      ({ address, gateway }) => typeof address === 'string' && typeof gateway === 'string',
    ) &&
    Array.isArray(record.ports) &&
    typeof record.bandwidth === 'object'
  if (!isRecord) throw new Error('a field is missing or of another type')
  return record as PodRecord // every field was looked at above
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return codeOf(error) === 'EPERM'
  }
}

function unlessMissing<T>(act: () => T): T | undefined {
  try {
    return act()
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code // node:fs throws nothing else
