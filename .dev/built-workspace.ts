import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'

const root = new URL('..', import.meta.url).pathname

/**
 * A copy of the published packages and the examples as they are now, the packages built as they are built to be published: for
 * tests that start the command line, which would compile all its sources anew each time. Packages find each other there as they
 * do in the workspace. It is made once for whoever asks, and takes some seconds then.
 * @returns its directory, laid out as the workspace is
 */
export function builtWorkspace(): string {
  const cache = join(root, 'node_modules/.cache')
  mkdirSync(cache, { recursive: true })
  // The kernel lets go of the lock with whoever held it.
  const command = [
    join(cache, 'built-workspaces.lock'),
    process.execPath,
    join(root, '.dev/build-workspace.mjs'),
  ]
  const { status, stdout, stderr } = spawnSync('flock', command, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`build-workspace.mjs exited with ${status}: ${stderr}`)
  return stdout.trim()
}

/** The command line there, for Node to run. */
export function builtCommandLine(): string {
  return join(builtWorkspace(), 'packages/cli/bin/podwire.js')
}
