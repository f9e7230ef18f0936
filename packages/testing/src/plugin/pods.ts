import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import type { Pod } from '@podwire/api'
import { fakePod } from '../fake-host.ts'
import { objects, tryParse } from '../kernel-state/json.ts'
import type { Shell } from '../kernel-state/state.ts'
import type { Target } from './messages.ts'

const run = promisify(execFile)

/** The shell of this process's own namespaces. */
export const shell: Shell = {
  sh: async (script) => (await run('sh', ['-c', script], { maxBuffer: 2 ** 26 })).stdout,
}

let made = 0

/** Makes a pod with a network namespace of its own, which holds its loopback alone. */
export async function makePod({ pod = {} }: Pick<Target, 'pod'>): Promise<Pod> {
  const sandboxId = randomBytes(16).toString('hex')
  await shell.sh(`ip netns add ${sandboxId} && ip -n ${sandboxId} link set lo up`)
  return fakePod({ namespace: 'conformance', name: `pod-${++made}`, sandboxId, ...pod })
}

/** Deletes a pod's network namespace; fine where it is gone. */
export async function deleteNetns({ sandboxId }: Pod): Promise<void> {
  await shell.sh(`ip netns delete ${sandboxId} 2>/dev/null || true`)
}

/** The links of a pod, loopback aside, and all their addresses. */
export async function linksOf({ sandboxId }: Pod): Promise<{ names: string[]; addresses: string[] }> {
  const links = objects(tryParse(await shell.sh(`ip -n ${sandboxId} -j addr show`)))
  return {
    names: links.map(({ ifname }) => String(ifname)).filter((name) => name !== 'lo'),
    addresses: links.flatMap(({ addr_info }) => objects(addr_info).map(({ local }) => String(local))),
  }
}
