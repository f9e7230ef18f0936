import { lstatSync, readFileSync, realpathSync, type Stats } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { errnoOf } from '@podwire/api'
import { errors } from './errors.ts'

const S_IWOTH = 0o002
const S_IWGRP = 0o020
const S_ISVTX = 0o1000

/**
 * Checks that whoever answers at a socket is this user, or root: nobody else can have made it, can write to it without
 * being given its group, or can put another one in its place.
 * @throws PodwireError `DAEMON_NOT_RUNNING` where there is none, `SOCKET_UNTRUSTED`
 */
export function assertSocketTrusted(socket: string): void {
  const path = resolve(socket)
  const found = look(path, socket)
  const refuse = (problem: string) => {
    throw errors.SOCKET_UNTRUSTED({ socket, problem })
  }
  if (!found.isSocket()) refuse('it is not a socket')
  if (!isOurs(found)) refuse(`it belongs to user ${found.uid}`)
  if (found.mode & S_IWOTH) refuse('every user may write to it')
  for (let dir = realpathSync(dirname(path)); ; dir = dirname(dir)) {
    const at = lstatSync(dir)
    if (!isOurs(at) && !(at.uid === OVERFLOW_UID && isUserNamespace()))
      refuse(`${dir} belongs to user ${at.uid}`)
    const othersMayWrite = (at.mode & (S_IWOTH | (at.gid === 0 ? 0 : S_IWGRP))) !== 0
    // Where it is sticky, only owners rename.
    if (othersMayWrite && !(at.mode & S_ISVTX)) refuse(`others may write to ${dir}`)
    if (dir === dirname(dir)) return
  }
}

function look(path: string, socket: string): Stats {
  try {
    return lstatSync(path)
  } catch (cause) {
    if (errnoOf(cause) === 'EACCES') throw errors.DAEMON_REFUSES({ socket }, cause)
    throw errors.DAEMON_NOT_RUNNING({ socket }, cause)
  }
}

const isOurs = ({ uid }: Stats): boolean => uid === 0 || uid === process.geteuid?.()

// Whoever isn't mapped into a user namespace is shown in it as this one, root itself too, to whom most of the path belongs.
const OVERFLOW_UID = 65534

function isUserNamespace(): boolean {
  return !/^\s*0\s+0\s+4294967295\s*$/.test(readFileSync('/proc/self/uid_map', 'utf8'))
}
