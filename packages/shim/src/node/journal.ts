import { createHash } from 'node:crypto'
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { errnoOf, IO_FAILURE, Problem, reasonOf } from './problem.ts'

/**
 * Keeps a DEL that the daemon could not be told. The same body is the same file; once this returns, that is whole, and on the disk.
 * @throws Problem
 */
export function writeJournal(directory: string, body: Buffer): void {
  try {
    const opened = openDirectory(directory)
    try {
      // Whatever becomes of the path.
      writeEntry(`/proc/self/fd/${opened}`, body)
      fsyncSync(opened)
    } finally {
      closeSync(opened)
    }
  } catch (error) {
    const isLink = ['ELOOP', 'ENOTDIR'].includes(errnoOf(error) ?? '')
    const why = isLink ? 'it is a link, or no directory' : reasonOf(error)
    throw new Problem(IO_FAILURE, `the journal ${directory} can't be used: ${why}`)
  }
}

function openDirectory(directory: string): number {
  makeDirectory(directory)
  const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants
  const opened = openSync(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
  const { uid, mode } = fstatSync(opened)
  if (uid !== 0 && uid !== process.geteuid?.()) throw new Error('it belongs to another user')
  // The daemon would not read it.
  if (mode & 0o022) throw new Error('others may write to it')
  return opened
}

function makeDirectory(directory: string): void {
  try {
    mkdirSync(directory, 0o700)
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return
    if (errnoOf(error) !== 'ENOENT') throw error
    mkdirUnlessThere(dirname(directory))
    mkdirUnlessThere(directory)
  }
}

function mkdirUnlessThere(directory: string): void {
  try {
    mkdirSync(directory, 0o700)
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
  }
}

function writeEntry(directory: string, body: Buffer): void {
  const name = createHash('sha256').update(body).digest('hex').slice(0, 32)
  // Its name does not count as an entry's. In another process namespace somebody may have the same number.
  const temporary = `${directory}/.${name}.${process.pid}.${process.hrtime.bigint()}`
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants
  const file = openSync(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
  try {
    try {
      for (let at = 0; at < body.length; ) at += writeSync(file, body, at)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(temporary, `${directory}/${name}`)
  } catch (error) {
    unlinkSync(temporary)
    throw error
  }
}
