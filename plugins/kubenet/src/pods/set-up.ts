import { closeSync } from 'node:fs'
import {
  DEFAULT_INTERFACE_NAME,
  IP_ANNOTATION,
  isPodwireError,
  MAC_ANNOTATION,
  messageOf,
  type Pod,
} from '@podwire/api'
import { netnsId, openNetns } from '@podwire/netlink'
import { hasWayOut } from '../datapath/inside.ts'
import { isUsableMac } from '../datapath/mac.ts'
import { errors } from '../errors.ts'
import type { PodAddress } from '../ipam/allocator.ts'
import { isLinkName } from '../kernel/link-name.ts'
import { isNetnsOf, type PodRecord, settingsOf, settledBy } from '../pod-record.ts'
import { shape } from '../shaping/shaping.ts'
import { untilAborted } from './aborting.ts'
import type { SetUpContext } from './context.ts'
import { converge } from './converge.ts'
import { shapedLink } from './links.ts'
import { stepsOf } from './steps.ts'
import { tearDownPod } from './tear-down.ts'

/** Gives a pod its network; one that has it is mended where it differs, and gets the settings that are wanted now. */
export async function setUpPod(context: SetUpContext, pod: Pod, signal: AbortSignal): Promise<PodRecord> {
  const sandbox = openNetns(pod.netns)
  try {
    const record = context.records.read(pod.sandboxId)
    if (record && isNetnsOf(record) && !record.leaving)
      return await converge(context, record, pod, sandbox, signal)
    // The sandbox's ID was used before, by a namespace that is gone; or its tear-down was never finished.
    if (record) await untilAborted(tearDownPod(context, pod), signal)
    return await create(context, pod, sandbox, signal)
  } finally {
    closeSync(sandbox)
  }
}

/** Address, link, shaping, host ports. What fails takes back what was done before. */
async function create(
  context: SetUpContext,
  pod: Pod,
  sandbox: number,
  signal: AbortSignal,
): Promise<PodRecord> {
  const { kernel, datapath, hostPorts, policies, records } = context
  // Before there is a record: whoever repairs puts in place what it says.
  policies.assertPossible({ ...pod, datapath: datapath.name })
  const step = stepsOf(pod, context, signal)
  try {
    const begun = await step('address', () => allocate(context, pod, sandbox, signal))
    const record = settledBy(begun)
    // Before there is anything that could send.
    await step('policy', () => policies.add(record))
    const index = await step('link', () => datapath.connect(record, sandbox))
    const link = shapedLink(context, record, index)
    await step('shaping', () => shape(kernel, link, {}, record.bandwidth))
    await step('host ports', () => hostPorts.publish({ ...record, ports: [] }, record))
    signal.throwIfAborted()
    if (begun.changing) await step('record', () => records.write(record))
    return record
  } catch (error) {
    await undo(context, pod)
    throw error
  }
}

/** Claims the addresses, the record written before so that none is ever claimed without. */
async function allocate(
  context: SetUpContext,
  pod: Pod,
  sandbox: number,
  signal: AbortSignal,
): Promise<PodRecord> {
  const { datapath, records, allocator, mtu } = context
  const netns = { path: pod.netns, ...netnsId(sandbox) }
  const interfaceName = pod.ifName ?? DEFAULT_INTERFACE_NAME
  if (!isLinkName(interfaceName)) throw errors.INTERFACE_NAME_NOT_USABLE({ name: interfaceName })
  // Of the usual name there is one, and it is the pod's way out.
  const isFurther = interfaceName !== DEFAULT_INTERFACE_NAME && (await hasWayOut(context.kernel, sandbox))
  const mac = macOf(pod)
  const recordWith = (addresses: readonly PodAddress[]): PodRecord => ({
    namespace: pod.namespace,
    name: pod.name,
    sandboxId: pod.sandboxId,
    netns,
    datapath: datapath.name,
    interfaceName,
    mtu,
    ...(mac === undefined ? {} : { mac }),
    ...(isFurther ? { isFurther } : {}),
    addresses,
    ...settingsOf(pod),
    // Whose a port is that two pods want at once is settled when it is published. The policy holds from the first moment.
    ...(pod.portMappings.length > 0 ? { ports: [], bandwidth: {}, changing: settingsOf(pod) } : {}),
    ...(pod.policy ? { logGroup: context.logGroup() } : {}),
  })
  const claim = () =>
    recordWith(
      allocator.allocate(pod, pod.annotations[IP_ANNOTATION], (addresses) =>
        records.write(recordWith(addresses)),
      ),
    )
  try {
    return claim()
  } catch (error) {
    if (!isPodwireError(error) || error.code !== 'ADDRESSES_EXHAUSTED') throw error
    const gone = records.list().filter((record) => !isNetnsOf(record))
    if (gone.length === 0) throw error
    await untilAborted(Promise.all(gone.map((record) => tearDownPod(context, record))), signal)
    return claim()
  }
}

function macOf({ annotations }: Pod): string | undefined {
  const mac = annotations[MAC_ANNOTATION]?.toLowerCase()
  if (mac === undefined || isUsableMac(mac)) return mac
  throw errors.MAC_NOT_USABLE({ mac })
}

async function undo(context: SetUpContext, pod: Pod) {
  try {
    await tearDownPod(context, pod)
  } catch (error) {
    // The first error is the one to tell; the record stays, and what is left is collected by it.
    const { namespace, name, sandboxId } = pod
    const about = { namespace, name, sandboxId }
    context.log.error(`kubenet could not take back a set-up that failed: ${messageOf(error)}`, about)
  }
}
