import { podKey } from '@podwire/api'
import { createSandboxStore, namespaceAt } from '@podwire/core'
import { loadConfiguration } from '../configuration.ts'
import { noSuchPod } from '../errors.ts'
import { type GlobalFlags, parsePodName } from '../flags.ts'
import { runCommand } from '../run-command.ts'

/** `podwire exec`: needs the pod's record alone, not its plugin. */
export async function exec(pod: string, command: string[], flags: GlobalFlags): Promise<number> {
  const name = parsePodName(pod)
  const { config } = await loadConfiguration(flags)
  const record = createSandboxStore(config.stateDir).find(name)
  if (!record || !(await namespaceAt(record.netns))) throw noSuchPod({ pod: podKey(name) })
  return runCommand(command, record.netns)
}
