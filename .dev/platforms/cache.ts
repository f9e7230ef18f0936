import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'

/** What was downloaded stays here, and is used again; whoever wants newer things removes the directory. */
export const cache = new URL('../../node_modules/.cache/platforms/', import.meta.url).pathname

/** A directory of the cache that `fill` made once: one that was cut short is made anew. */
export function cached(name: string, fill: (dir: string) => void): string {
  const dir = join(cache, name)
  if (existsSync(dir)) return dir
  const unfinished = `${dir}.unfinished`
  rmSync(unfinished, { recursive: true, force: true })
  mkdirSync(unfinished, { recursive: true })
  fill(unfinished)
  renameSync(unfinished, dir)
  return dir
}

/**
 * Runs a program of this machine to its end, and returns what it printed.
 * @throws Error with what it printed, when it fails or takes more than ten minutes
 */
export function run(command: string, args: readonly string[], cwd?: string): string {
  const { status, error, stdout, stderr } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 600_000,
    maxBuffer: 64 << 20,
  })
  if (status === 0) return stdout
  throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? `${stdout}${stderr}`.trim()}`)
}
