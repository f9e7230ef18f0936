import { randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { errnoOf } from './errors.ts'

export * from './ownership.ts'

// Small files of state, written and read synchronously: in memory each call takes some 20 µs, where the way to a thread
// and back takes several times that. Links are never followed: who may write to a directory of state must not choose
// which file of root's is read or replaced.

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants

/** More than any file of state holds, in bytes. */
const largest = 16 * 2 ** 20

/**
 * Replaces a file in one step: a reader sees the old text or the new one, also when the writer is killed. Makes the
 * directory where there is none, for its owner only. Throws node:fs's errors, and leaves no temporary file then.
 */
export function writeFileWhole(file: string, text: string, { mode = 0o600 }: { mode?: number } = {}): void {
  try {
    replace(file, text, mode)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
    // The directory was never made, or somebody removed it.
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    replace(file, text, mode)
  }
}

function replace(file: string, text: string, mode: number): void {
  const temporary = join(dirname(file), temporaryName())
  const fd = openSync(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode)
  try {
    try {
      writeFileSync(fd, text)
    } finally {
      closeSync(fd)
    }
    renameSync(temporary, file)
  } catch (error) {
    removeIfThere(temporary)
    throw error
  }
}

/**
 * The text of a file; undefined when there is none. Throws node:fs's errors, `ELOOP` for a symbolic link, and
 * `ERR_NOT_A_FILE` for a directory, pipe or device, which it does not wait for, and `ERR_FILE_TOO_LARGE`.
 */
export function readFileIfThere(file: string, maxBytes: number = largest): string | undefined {
  let fd: number
  try {
    fd = openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  } catch (error) {
    const code = errnoOf(error)
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG') return undefined
    throw error
  }
  try {
    const found = fstatSync(fd)
    if (!found.isFile()) throw fileError('ERR_NOT_A_FILE', `${file} is not a regular file`)
    if (found.size > maxBytes) {
      throw fileError(
        'ERR_FILE_TOO_LARGE',
        `${file} has ${found.size} bytes, more than the ${maxBytes} allowed`,
      )
    }
    return readFileSync(fd, 'utf8')
  } finally {
    closeSync(fd)
  }
}

/** Removes a file, where there is one. Throws node:fs's errors. */
export function removeIfThere(file: string): void {
  // Not by rmSync, whose errors have no code in Node 26.
  try {
    unlinkSync(file)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
  }
}

/** The names in a directory, sorted; none where there is no directory. */
export function namesIn(dir: string): string[] {
  try {
    return readdirSync(dir).sort()
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  }
}

/**
 * What a file is called that is soon to have another name: short whatever that is, and the number of the process tells whether
 * anybody is still going to give it.
 */
export const temporaryName = () => `.${process.pid}.${randomBytes(4).toString('hex')}.tmp`

const temporaryPattern = /^\.(\d+)\.[0-9a-f]{8}\.tmp$/

/** Whether a file is one of {@link writeFileWhole}'s temporary ones. */
export function isTemporaryFile(name: string): boolean {
  return temporaryPattern.test(name)
}

/** Removes the temporary files of {@link writeFileWhole} that killed processes left in a directory. */
export function sweepTemporaryFiles(dir: string): void {
  for (const name of namesIn(dir)) {
    const [, pid] = temporaryPattern.exec(name) ?? []
    if (pid && !isProcessRunning(Number(pid))) removeIfThere(join(dir, name))
  }
}

/** Whether a process of this number runs, whoever's it is. */
export function isProcessRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return errnoOf(error) === 'EPERM'
  }
}

function fileError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code })
}
