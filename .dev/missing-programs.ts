import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { hasMachineUsers } from '@podwire/api/files'

/** Those of these programs that this machine lacks: root has them installed on Debian by `npm run setup`. */
export function missingPrograms(...programs: readonly string[]): string[] {
  // Root of a user namespace can't have a container's cgroup, or its users.
  if (process.getuid?.() !== 0 || !hasMachineUsers()) return ['root']
  return programs.filter((program) => !isThere(program))
}

function isThere(program: string): boolean {
  const candidates = program.startsWith('/')
    ? [program]
    : [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'].map((dir) => join(dir, program))
  return candidates.some((path) => {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
