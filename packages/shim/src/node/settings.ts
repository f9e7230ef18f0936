import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs'
import { isExposed } from '@podwire/api/files'
import { SHIM_DEFAULTS } from '../protocol.ts'
import { errnoOf, Problem, reasonOf, SETTINGS_REFUSED } from './problem.ts'

const maxBytes = 16 * 1024
const maxSocketBytes = 107
const maxJournalBytes = 4096 - 128
const maxDeadlineMs = 600_000

export interface Settings {
  socket: string
  journal: string
  /** undefined: that of the command. */
  deadlineMs?: number
}

/**
 * The file beside the executable; what holds where there is none.
 * @throws Problem
 */
export function readSettings(executable: string): Settings {
  const path = `${executable}.conf`
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK, O_NOCTTY } = constants
  let file: number
  try {
    // A FIFO would keep it waiting.
    file = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return { ...SHIM_DEFAULTS }
    throw new Problem(SETTINGS_REFUSED, `${path} can't be read: ${reasonOf(error)}`)
  }
  try {
    const why = whyUntrusted(fstatSync(file))
    if (why !== undefined) throw new Problem(SETTINGS_REFUSED, `${path} is refused: ${why}`)
    const text = Buffer.alloc(maxBytes + 1)
    let length = 0
    for (let got = -1; got !== 0 && length < text.length; length += got)
      got = readSync(file, text, length, text.length - length, null)
    if (length > maxBytes) throw new Problem(SETTINGS_REFUSED, `${path} is refused: it is longer than 16 KiB`)
    return parseSettings(path, text.toString('utf8', 0, length))
  } finally {
    closeSync(file)
  }
}

/** Only whoever could also have replaced the executable can have put another's file here, so the directories are not looked at. */
function whyUntrusted(found: Stats): string | undefined {
  if (!found.isFile()) return 'it is not a file'
  if (found.uid !== 0 && found.uid !== process.geteuid?.()) return 'it belongs to another user'
  if (isExposed(found, false)) return 'others may write to it'
  return undefined
}

function parseSettings(path: string, text: string): Settings {
  const settings: Settings = { ...SHIM_DEFAULTS }
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.replace(/^[ \t\r]+|[ \t\r]+$/g, '')
    if (line === '' || line.startsWith('#')) continue
    const [, key = '', value = ''] = /^([^ \t\r]+)[ \t\r]*(.*)$/s.exec(line) ?? []
    const why = take(settings, key, value)
    if (why !== undefined) throw new Problem(SETTINGS_REFUSED, `line ${index + 1} of ${path} ${why}`)
  }
  return settings
}

function take(settings: Settings, key: string, value: string): string | undefined {
  if (key === 'deadline') {
    if (!/^\d*$/.test(value)) return 'is not a number of milliseconds'
    settings.deadlineMs = Number(value)
    const isPossible = settings.deadlineMs >= 1 && settings.deadlineMs <= maxDeadlineMs
    return isPossible ? undefined : 'has to be 1 to 600000 milliseconds'
  }
  if (key !== 'socket' && key !== 'journal') return 'has a key that is none of socket, journal, deadline'
  if (!value.startsWith('/')) return 'needs a path that begins with /'
  if (value.includes('\0')) return 'has a path with a NUL byte'
  if (Buffer.byteLength(value) > (key === 'socket' ? maxSocketBytes : maxJournalBytes))
    return 'has a path that is too long'
  settings[key] = value.replace(/(?!^)\/+$/, '')
  return undefined
}
