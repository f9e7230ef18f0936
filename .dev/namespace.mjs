// Runs a command in network and mount namespaces of its own, so that what it does leaves the machine as it was.
import { spawnSync } from 'node:child_process'

const script = new URL('isolate', import.meta.url).pathname

/** The command line that runs `command` isolated, or undefined where the kernel refuses namespaces. */
export function isolated(command) {
  return spawnSync(script, ['true'], { stdio: 'ignore' }).status === 0 ? [script, ...command] : undefined
}
