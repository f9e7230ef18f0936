import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileFailed } from './errors.ts'
import { type Netns, withNetns } from './namespaces.ts'

/**
 * Reads `/proc/sys/PATH` (`net/ipv4/ip_forward`; slashes, as link names may hold dots), in a namespace when one is
 * given: what `/proc/sys/net` shows depends on the thread that opens it. Errors: `ENOENT`, those of `withNetns`.
 */
export function readSysctl(path: string, netns?: Netns): string {
  return access(`read sysctl ${path}`, path, netns, (file) => readFileSync(file, 'utf8').trimEnd())
}

/** Writes `/proc/sys/PATH`. Errors: `ENOENT`, `EINVAL`, `EACCES`, `EROFS`, those of `withNetns`. */
export function writeSysctl(path: string, value: string | number, netns?: Netns): void {
  access(`write sysctl ${path}`, path, netns, (file) => writeFileSync(file, String(value)))
}

function access<T>(operation: string, path: string, netns: Netns | undefined, act: (file: string) => T): T {
  const file = join('/proc/sys', path)
  const tryAct = () => {
    try {
      return act(file)
    } catch (error) {
      throw fileFailed(operation, file, error)
    }
  }
  return netns === undefined ? tryAct() : withNetns(netns, tryAct)
}
