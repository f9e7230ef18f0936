import type { PodRef } from '@podwire/api'

/** What a CNI plugin learns of a pod through CNI_ARGS. Source: the kubelet's `buildCNIRuntimeConf`. */
export function kubernetesArgs({ namespace, name, sandboxId }: PodRef): [key: string, value: string][] {
  return [
    ['IgnoreUnknown', '1'],
    ['K8S_POD_NAMESPACE', namespace],
    ['K8S_POD_NAME', name],
    ['K8S_POD_INFRA_CONTAINER_ID', sandboxId],
  ]
}
