import { lstatSync, realpathSync, type Stats } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { errnoOf } from '@podwire/api'
import { isExposed, isRoots, upwards } from '@podwire/api/files'
import { errors } from './errors.ts'

const S_IWOTH = 0o002

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
  const real = join(realpathSync(dirname(path)), basename(path))
  for (const { at, found: above, isAbove } of upwards(real)) {
    if (!isAbove) continue
    if (!isOurs(above) && !isRoots(above)) refuse(`${at} belongs to user ${above.uid}`)
    if (isExposed(above, isAbove)) refuse(`others may write to ${at}`)
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
