import type { PodRef } from '@podwire/api'
import { podLinkNames } from './datapath/names.ts'
import type { Node } from './node.ts'

/** Withdraws the ports and cuts the pod off at once; its addresses are free when the kernel has forgotten its links. */
export async function tearDown(node: Node, pod: PodRef): Promise<void> {
  const { records, reaper, hostPorts } = node
  const record = records.read(pod.sandboxId)
  const names = podLinkNames(pod.sandboxId)
  if (record && record.ports.length > 0) {
    if (!record.leaving) records.write({ ...record, leaving: true })
    await hostPorts.change(record, { ...record, ports: [] })
  }
  await reaper.remove([names.host, names.egress])
  if (!record) return
  for (const { address } of record.addresses) node.releaseAddress(address, pod.sandboxId)
  records.remove(pod.sandboxId)
}

/** The kernel finishes what it began whether anybody waits or not. */
export async function untilAborted(work: Promise<unknown>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  let stop = () => {}
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
