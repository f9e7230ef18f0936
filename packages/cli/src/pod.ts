import { type PortMapping, podKey } from '@podwire/api'
import type { SandboxRecord } from '@podwire/core'
import { print } from './output.ts'

/** A pod as `--json` prints it. */
export function podJson(record: SandboxRecord) {
  const { pod, plugin, phase, problem, status, setUpMs, createdAt } = record
  return {
    namespace: pod.namespace,
    name: pod.name,
    sandboxId: pod.sandboxId,
    netns: pod.netns,
    plugin,
    phase,
    ...(problem === undefined ? {} : { problem }),
    ip: status?.ip,
    ips: addressesOf(record),
    ...(status?.interfaces ? { interfaces: status.interfaces } : {}),
    annotations: pod.annotations,
    portMappings: pod.portMappings,
    ...(pod.policy ? { policy: pod.policy } : {}),
    setUpMs,
    createdAt,
  }
}

/** The addresses of a pod, the primary one first. */
export function addressesOf({ status }: SandboxRecord): readonly string[] {
  return status?.ips ?? (status ? [status.ip] : [])
}

/** Whether anything limits what a pod reaches or who reaches it, for a table. */
export function hasPolicy({ pod }: SandboxRecord): string {
  return pod.policy ? 'yes' : '-'
}

/** A published port as it was given: `127.0.0.1:8080:80/udp`. */
export function formatPort({ hostIP, hostPort, containerPort, protocol }: PortMapping): string {
  const address = hostIP?.includes(':') ? `[${hostIP}]` : hostIP
  return `${address ? `${address}:` : ''}${hostPort}:${containerPort}${protocol === 'tcp' ? '' : `/${protocol}`}`
}

/** How long ago a pod was set up: `3d`, `7m`. */
export function ageOf({ createdAt }: SandboxRecord): string {
  const ms = Date.now() - Date.parse(createdAt)
  const units = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
  ] as const
  const [unit, size] = units.find(([, length]) => ms >= length) ?? ['s', 1000]
  return `${Math.max(0, Math.floor(ms / size))}${unit}`
}

/** Says of each pod that is stuck why it is, and the way out. */
export function printProblems(records: readonly SandboxRecord[]): void {
  for (const { pod, phase, problem } of records) {
    if (problem === undefined) continue
    const key = podKey(pod)
    const remedy =
      phase === 'ready'
        ? `Try again with: podwire repair`
        : `Try again with: podwire down ${key}; give up on the plugin with: podwire down --force ${key}`
    print(`${key} (${phase}): ${problem}. ${remedy}`)
  }
}
