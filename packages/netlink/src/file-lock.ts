import { native } from './native.ts'

const LOCK_EX = 2
const LOCK_NB = 4

/**
 * Takes the exclusive lock of an open file (`flock`) if nobody has it, without waiting. It is held until the descriptor is
 * closed, or its process ends however it does; it holds across network and process namespaces.
 */
export function tryLockFile(fd: number): boolean {
  return native().flock(fd, LOCK_EX | LOCK_NB) === 0
}
