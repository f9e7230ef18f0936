import { isDeepStrictEqual } from 'node:util'
import {
  DEFAULT_INTERFACE_NAME,
  DEFAULT_PLUGIN_NAME,
  getPodIPs,
  messageOf,
  type PodNetworkStatus,
  podKey,
  podRef,
} from '@podwire/api'
import { errors } from '../errors.ts'
import type { PluginManager } from '../plugins/plugin-manager.ts'
import type { SandboxContext } from './context.ts'
import type { SandboxRecord } from './record.ts'

/** Calls the plugin for a pod that it has not set up yet, or is to set up otherwise, and keeps the result. */
export async function callSetUp(
  context: SandboxContext,
  manager: PluginManager,
  kept: SandboxRecord,
  signal: AbortSignal | undefined,
): Promise<SandboxRecord> {
  const { events } = context
  const { previous: _, problem: __, ...record } = kept
  const about = { plugin: manager.name, pod: podRef(record.pod) }
  const started = performance.now()
  events.emit('pod:setup:start', about)
  try {
    const returned = await manager.setUpPod(record.pod, signal)
    const setUpMs = performance.now() - started
    const status = returned ?? (await askForStatus(manager, record, signal))
    const ready: SandboxRecord = { ...record, phase: 'ready', setUpMs, ...(status ? { status } : {}) }
    keep(context, kept, ready)
    events.emit('pod:setup:done', { ...about, durationMs: setUpMs, status })
    return ready
  } catch (error) {
    events.emit('pod:setup:failed', { ...about, durationMs: performance.now() - started, error })
    throw error
  }
}

// What is mended or changed is that on a full disk too: what it gave away, a port perhaps, may be another pod's by now. Most
// often it is as it stands there already, and where it has another MAC address now, that stands there the next time.
function keep({ store, warn }: SandboxContext, kept: SandboxRecord, ready: SandboxRecord): void {
  const isMended = isDeepStrictEqual(withoutResult(ready), withoutResult(kept))
  if (isMended && isDeepStrictEqual(ready.status, kept.status)) return
  try {
    store.write(ready)
  } catch (error) {
    if (!isMended && kept.phase !== 'changing') throw error
    if (kept.phase === 'changing') settleOrForget()
    const done = isMended ? 'mended' : 'changed'
    warn(`pod ${podKey(ready.pod)} is ${done}, but its record can't say how: ${messageOf(error)}`)
  }

  function settleOrForget() {
    if (isDeepStrictEqual(kept.pod, kept.previous)) store.forgetChange(kept)
    else store.settleChange(kept)
  }
}

const withoutResult = ({ setUpMs: _, status: __, ...record }: SandboxRecord) => record

/** The plugin's word, else what stands on the pod's interface. The no-op plugin promises no address. */
async function askForStatus(
  manager: PluginManager,
  { pod, allowNoAddress }: SandboxRecord,
  signal: AbortSignal | undefined,
): Promise<PodNetworkStatus | undefined> {
  const told = await manager.getPodNetworkStatus(podRef(pod), signal)
  if (told || manager.name === DEFAULT_PLUGIN_NAME) return told
  try {
    const ips = await getPodIPs(pod.netns, pod.ifName ?? DEFAULT_INTERFACE_NAME, signal ? { signal } : {})
    return { ip: ips[0] ?? '', ips }
  } catch (cause) {
    signal?.throwIfAborted()
    if (allowNoAddress) return undefined
    throw errors.NO_ADDRESS({ pod: podRef(pod), plugin: manager.name }, cause)
  }
}
