import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Those of these programs that this machine lacks: root has them installed on Debian by `npm run setup`. */
export function missingPrograms(...programs: readonly string[]): string[] {
  if (process.getuid?.() !== 0) return ['root']
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
