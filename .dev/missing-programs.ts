import { hasMachineUsers } from '@podwire/api/files'
import { isInstalled } from './debian-packages.mjs'

/** Those of these programs that this machine lacks: root has them installed on Debian by `npm run setup`. */
export function missingPrograms(...programs: readonly string[]): string[] {
  // Root of a user namespace can't have a container's cgroup, or its users.
  if (process.getuid?.() !== 0 || !hasMachineUsers()) return ['root']
  return programs.filter((program) => !isInstalled(program))
}
