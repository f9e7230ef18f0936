import type { SandboxRecord } from '@podwire/core'

/** A pod as `--json` prints it. */
export function podJson({ pod, netns, plugin, phase, status, setUpMs, createdAt }: SandboxRecord) {
  return {
    namespace: pod.namespace,
    name: pod.name,
    sandboxId: pod.sandboxId,
    netns,
    plugin,
    phase,
    ip: status?.ip,
    ips: status?.ips ?? (status ? [status.ip] : []),
    ...(status?.interfaces ? { interfaces: status.interfaces } : {}),
    annotations: pod.annotations,
    portMappings: pod.portMappings,
    setUpMs,
    createdAt,
  }
}
