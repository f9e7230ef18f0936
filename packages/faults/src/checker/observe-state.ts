import { readFileSync, readlinkSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { namesIn, readFileIfThere } from '@podwire/api/files'
import { createSandboxStore } from '@podwire/core'
import type { KubenetRecord, ObservedState } from './observed.ts'

/** What lies in a state directory. */
export function observeState(dir: string): Omit<ObservedState, 'firewall'> {
  const kubenet = join(dir, 'plugins/kubenet')
  const { records: sandboxes, unreadable } = createSandboxStore(dir).list()
  const pods = namesIn(join(kubenet, 'pods'))
  const id = readFileIfThere(join(kubenet, 'id'))?.trim()
  return {
    dir,
    sandboxes,
    strays: [
      ...unreadable.map(({ file }) => file),
      ...namesIn(join(dir, 'sandboxes')).filter((name) => !isRecord(name)),
      ...pods.filter((name) => !isRecord(name)),
      ...[dir, kubenet].flatMap((own) => namesIn(own).filter((name) => name.endsWith('.tmp'))),
    ],
    locks: observeLocks(join(dir, 'locks')),
    ...(id === undefined ? {} : { id }),
    records: pods.filter(isRecord).map((name) => readRecord(join(kubenet, 'pods', name))),
    claims: namesIn(join(kubenet, 'addresses')).map((address) => ({
      address,
      owner: decodeURIComponent(readlinkSync(join(kubenet, 'addresses', address))),
    })),
  }
}

function readRecord(file: string): KubenetRecord {
  // kubenet's own; a field that isn't there is a difference for the checker to tell of.
  const record = JSON.parse(readFileSync(file, 'utf8')) as KubenetRecord
  return { ...(file.endsWith('.json') ? settled(record) : record), isLeaving: file.endsWith('.leaving') }
}

/** Where there was no room for more, the name of its file alone says that a change is done. */
function settled(record: KubenetRecord): KubenetRecord {
  const { changing, policy, ...kept } = record
  return changing ? { ...kept, ...changing } : record
}

const isRecord = (name: string) => /^[^.].*\.(json|changing|leaving)$/.test(name)

function observeLocks(dir: string): ObservedState['locks'] {
  const names = namesIn(dir)
  if (names.length === 0) return []
  const held = readFileSync('/proc/locks', 'utf8')
  return names.map((name) => {
    const file = join(dir, name)
    const ino = statSync(file, { throwIfNoEntry: false })?.ino
    return { file, isHeld: ino !== undefined && held.includes(`:${ino} `) }
  })
}
