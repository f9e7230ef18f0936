import { existsSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import {
  DEFAULT_INTERFACE_NAME,
  DEFAULT_PLUGIN_NAME,
  getPodIPs,
  messageOf,
  type Pod,
  type PodNetworkStatus,
  podKey,
} from '@podwire/api'
import { netnsConflict, netnsExists, notANetns, ownNetns } from '../errors.ts'
import type { PluginManager } from '../routing/plugin-manager.ts'
import type { SandboxRecord } from '../state/sandbox-record.ts'
import { createNamespace, isNamespaceAt, namespaceAt, netnsPathOf, OWN_NETNS } from './namespaces.ts'
import { type PodRequest, parsePodRequest } from './pod-request.ts'
import { processIdentity } from './process-identity.ts'
import { findRecord, isNamespaceAlive, type Sandboxes } from './sandboxes.ts'
import { takeDown } from './tear-down.ts'

/**
 * Gives a pod its sandbox and its network. What is there already and right stays; what differs in annotations or port
 * mappings is brought up to date; what a crash left is taken down first. A failure leaves nothing of a new pod.
 */
export async function setUpSandbox(
  room: Sandboxes,
  request: PodRequest,
  signal?: AbortSignal,
): Promise<SandboxRecord> {
  const pod = parsePodRequest(request)
  room.checkCapabilities(pod)
  const operation = async () => {
    const kept = await keepOrTakeDown(room, pod, request)
    if (!kept) return create(room, pod, request, signal)
    const wanted: Pod = { ...pod, sandboxId: kept.pod.sandboxId }
    return isDeepStrictEqual(kept.pod, wanted) ? kept : update(room, kept, wanted, signal)
  }
  return room.lock.run(podKey(pod), operation, signal)
}

async function keepOrTakeDown(
  room: Sandboxes,
  pod: Pod,
  request: PodRequest,
): Promise<SandboxRecord | undefined> {
  const found = findRecord(room.store, request)
  if (!found) return undefined
  if (found.phase !== 'ready' || !isNamespaceAlive(found)) {
    await takeDown(room, found)
    return undefined
  }
  const asked = askedNetns(request)
  if (asked !== undefined && !isNamespaceAt(asked, found.netnsIdentity)) {
    throw netnsConflict({ pod, netns: found.netns, asked })
  }
  return found
}

async function create(
  room: Sandboxes,
  pod: Pod,
  request: PodRequest,
  signal?: AbortSignal,
): Promise<SandboxRecord> {
  const asked = askedNetns(request)
  const owner = request.ownerPid === undefined ? undefined : await processIdentity(request.ownerPid)
  const intent: SandboxRecord = {
    version: 1,
    pod,
    ...(owner ? { owner } : {}),
    netns: asked ?? netnsPathOf(pod.sandboxId),
    ownsNetns: asked === undefined,
    plugin: room.active.name,
    phase: 'setting-up',
    createdAt: new Date().toISOString(),
  }
  const adopted = asked === undefined ? undefined : await adopt(asked)
  // A collection that doesn't know of the intent would take what the plugin gives to the pod.
  for (let running = room.collecting(); running; running = room.collecting()) await running
  // Before the intent, because undoing an intent removes what is there.
  if (intent.ownsNetns && existsSync(intent.netns)) throw netnsExists({ path: intent.netns })
  room.store.write(adopted ? { ...intent, netnsIdentity: adopted } : intent)
  try {
    const created = { ...intent, netnsIdentity: adopted ?? (await createNamespace(intent.netns)) }
    if (!adopted) room.store.write(created)
    return await runSetUp(room, room.active, created, signal)
  } catch (error) {
    await takeDown(room, intent).catch((cleanUp: unknown) =>
      room.warn(
        `pod ${podKey(pod)}: what its failed set-up left will be taken down later: ${messageOf(cleanUp)}`,
        {
          error: cleanUp,
        },
      ),
    )
    throw error
  }
}

/** A change that fails leaves the record, and by the plugin's contract the pod, as they were. */
async function update(
  room: Sandboxes,
  kept: SandboxRecord,
  pod: Pod,
  signal?: AbortSignal,
): Promise<SandboxRecord> {
  const changed = { ...kept, pod }
  room.store.write(changed)
  try {
    return await runSetUp(room, await room.managerOf(kept.plugin), changed, signal)
  } catch (error) {
    room.store.write(kept)
    throw error
  }
}

async function runSetUp(
  { store, events, warn }: Sandboxes,
  manager: PluginManager,
  record: SandboxRecord,
  signal: AbortSignal | undefined,
): Promise<SandboxRecord> {
  const { namespace, name, sandboxId } = record.pod
  const about = { plugin: manager.name, pod: { namespace, name, sandboxId } }
  const started = performance.now()
  events.emit('pod:setup:start', about)
  try {
    const returned = await manager.setUpPod(about.pod, signal)
    const setUpMs = performance.now() - started
    const status = returned ?? (await askForStatus(manager, record, warn, signal))
    const ready: SandboxRecord = { ...record, phase: 'ready', setUpMs, ...(status ? { status } : {}) }
    store.write(ready)
    events.emit('pod:setup:done', { ...about, durationMs: setUpMs, status })
    return ready
  } catch (error) {
    events.emit('pod:setup:failed', { ...about, durationMs: performance.now() - started, error })
    throw error
  }
}

/** The plugin's word, else what stands on the pod's interface. The no-op plugin promises no address. */
async function askForStatus(
  manager: PluginManager,
  { pod, netns }: SandboxRecord,
  warn: Sandboxes['warn'],
  signal: AbortSignal | undefined,
): Promise<PodNetworkStatus | undefined> {
  const { namespace, name, sandboxId } = pod
  const told = await manager.getPodNetworkStatus({ namespace, name, sandboxId }, signal)
  if (told || manager.name === DEFAULT_PLUGIN_NAME) return told
  try {
    const ips = await getPodIPs(netns, DEFAULT_INTERFACE_NAME, signal ? { signal } : {})
    return { ip: ips[0] ?? '', ips }
  } catch (error) {
    warn(
      `pod ${podKey(pod)}: network plugin "${manager.name}" set it up without an address: ${messageOf(error)}`,
    )
    return undefined
  }
}

function askedNetns({ netns, pid }: PodRequest): string | undefined {
  return netns ?? (pid === undefined ? undefined : `/proc/${pid}/ns/net`)
}

async function adopt(path: string) {
  const identity = await namespaceAt(path)
  if (!identity) throw notANetns({ path })
  if (isNamespaceAt(OWN_NETNS, identity)) throw ownNetns({ path })
  return identity
}
