import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
import { errnoOf } from '@podwire/api'

/** The bytes of a regular file; undefined where there is none, and why where it is something else, or too large. */
export function readWhole(file: string, largest: number): Uint8Array | string | undefined {
  let fd: number
  try {
    fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    if (errnoOf(error) === 'ELOOP') return 'it is a symbolic link'
    throw error
  }
  try {
    const found = fstatSync(fd)
    if (!found.isFile()) return 'it is not a file'
    if (found.size > largest)
      return `it has ${found.size} bytes, more than the ${largest} that a call may have`
    return readFileSync(fd)
  } finally {
    closeSync(fd)
  }
}
