import { podRef } from '@podwire/api'
import { errors } from '../errors.ts'
import { inNamespace } from './netns.ts'
import { processesIn } from './processes.ts'
import type { SandboxRecord } from './record.ts'

/**
 * Runs `start` in a pod's network namespace, in one synchronous turn: a child process that it spawns stays in there.
 * @throws PodwireError `NETNS_GONE` when what is at its path is not the namespace that was set up
 */
export async function inSandbox<T>({ pod, netnsIdentity }: SandboxRecord, start: () => T): Promise<T> {
  return inNamespace(pod.netns, netnsIdentity, start, (cause) => {
    throw errors.NETNS_GONE({ pod: podRef(pod), netns: pod.netns }, cause)
  })
}

/** The processes that run in a sandbox. */
export function sandboxProcesses({ netnsIdentity }: SandboxRecord): number[] {
  return netnsIdentity ? processesIn(netnsIdentity) : []
}
