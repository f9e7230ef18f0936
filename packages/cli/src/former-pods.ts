import { parsePodCIDR, podKey } from '@podwire/api'
import type { SandboxRecord } from '@podwire/core'
import { networks } from './networks.ts'
import { printNote } from './output.ts'
import { addressesOf } from './pod.ts'

/** Pods that were set up while this node had another pod CIDR, and have addresses of that. */
export function formerPods(records: readonly SandboxRecord[], podCIDR: string): SandboxRecord[] {
  const now = parsePodCIDR(podCIDR)
  if (!now) return []
  const isNow = networks(now)
  return records.filter((record) => {
    const isFormer = networks(parsePodCIDR(record.pluginStart.podCIDR) ?? [])
    return addressesOf(record).some((address) => isFormer(address) && !isNow(address))
  })
}

/** Says of each what it has, and the way out. */
export function printFormerPods(records: readonly SandboxRecord[], podCIDR: string): void {
  for (const record of formerPods(records, podCIDR)) {
    const key = podKey(record.pod)
    const remedy = record.attachment
      ? 'Have its container runtime make it anew'
      : `Set it up anew: podwire down ${key}, then podwire up ${key} with what it was given`
    printNote(
      `${key} has ${addressesOf(record).join(',')} of ${record.pluginStart.podCIDR}, and this node's pod CIDR is ${podCIDR} now: other nodes, where there are any, don't reach it there. ${remedy}`,
    )
  }
}
