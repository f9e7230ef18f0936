import { existsSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { messageOf, type Pod, podKey, podRef } from '@podwire/api'
import { errors } from '../errors.ts'
import { callSetUp } from './call-set-up.ts'
import { changePod, convergePod, endChange } from './change.ts'
import { findRecord, isNamespaceAlive, type OperationOptions, type SandboxContext } from './context.ts'
import { createNamespace, isNamespaceAt, namespaceAt, OWN_NETNS } from './netns.ts'
import { askedNetns, type PodRequest, parsePodRequest } from './pod-request.ts'
import { processIdentity } from './processes.ts'
import type { SandboxRecord } from './record.ts'
import { tearDown } from './tear-down.ts'

/**
 * Gives a pod its sandbox and its network. What is there already and right stays; what is not right is mended; what
 * differs in annotations or port mappings is changed; what a crash left is torn down first. A failure leaves nothing of a
 * new pod, and an old one as it was.
 */
export async function setUpSandbox(
  context: SandboxContext,
  request: PodRequest,
  { signal }: OperationOptions = {},
): Promise<SandboxRecord> {
  const pod = parsePodRequest(request, context.policy)
  context.checkNames(pod)
  const operation = async () => {
    const { manager } = await context.active()
    context.checkCapabilities(pod, manager)
    const kept = await keepOrTearDown(context, pod, request)
    if (!kept) return create(context, pod, request, signal)
    const { netns, ifName } = kept.pod
    const wanted: Pod = { ...pod, ...podRef(kept.pod), netns, ...(ifName === undefined ? {} : { ifName }) }
    return isDeepStrictEqual(kept.pod, wanted)
      ? convergePod(context, kept, signal)
      : changePod(context, kept, wanted, signal)
  }
  const waiting = { signal, deadlineMs: context.deadlines.setUpPod }
  const locked = () => context.lock.run(podKey(pod), operation, waiting)
  // An id of the caller's own could be another pod's at the same moment.
  return request.sandboxId === undefined ? locked() : context.lock.run(`id ${pod.sandboxId}`, locked, waiting)
}

async function keepOrTearDown(
  context: SandboxContext,
  pod: Pod,
  request: PodRequest,
): Promise<SandboxRecord | undefined> {
  const owner = context.store.get(pod.sandboxId)?.pod
  if (owner && podKey(owner) !== podKey(pod)) {
    throw errors.SANDBOX_ID_TAKEN({ pod: podRef(pod), sandboxId: pod.sandboxId, owner: podKey(owner) })
  }
  const found = findRecord(context.store, request)
  if (!found) return undefined
  const kept = await whole(context, found)
  if (!kept) {
    await tearDown(context, found)
    return undefined
  }
  if (request.mustBeNew) throw errors.POD_EXISTS({ pod: podRef(pod) })
  const asked = askedNetns(request)
  if (asked !== undefined && !isNamespaceAt(asked, found.netnsIdentity)) {
    throw errors.NETNS_CONFLICT({ pod: podRef(pod), netns: found.pod.netns, asked })
  }
  return kept
}

/** A pod that is up, with a change of it that never finished ended; undefined when it can't stay. */
async function whole(context: SandboxContext, found: SandboxRecord): Promise<SandboxRecord | undefined> {
  if (!isNamespaceAlive(found)) return undefined
  if (found.phase !== 'changing') return found.phase === 'ready' ? found : undefined
  try {
    return await endChange(context, found)
  } catch (error) {
    context.warn(`pod ${podKey(found.pod)} is set up anew, as a change can't be ended: ${messageOf(error)}`)
    return undefined
  }
}

async function create(
  context: SandboxContext,
  pod: Pod,
  request: PodRequest,
  signal: AbortSignal | undefined,
): Promise<SandboxRecord> {
  const { store } = context
  const { manager, start } = await context.active()
  const owner = request.ownerPid === undefined ? undefined : await processIdentity(request.ownerPid)
  const adopted = askedNetns(request) === undefined ? undefined : await adopt(pod.netns)
  const intent: SandboxRecord = {
    version: 1,
    pod,
    ...(owner ? { owner } : {}),
    ownsNetns: !adopted,
    plugin: manager.name,
    pluginStart: start,
    phase: 'setting-up',
    ...(request.attachment ? { attachment: request.attachment } : {}),
    ...(request.allowNoAddress ? { allowNoAddress: true } : {}),
    createdAt: new Date().toISOString(),
  }
  // A collection that doesn't know of the intent would take what the plugin gives to the pod.
  for (let running = context.collecting(); running; running = context.collecting()) await running
  // Before the intent, because undoing an intent removes what is there.
  if (!adopted && existsSync(pod.netns)) throw errors.NETNS_EXISTS({ path: pod.netns })
  let record: SandboxRecord = adopted ? { ...intent, netnsIdentity: adopted } : intent
  context.claimState()
  store.write(record)
  try {
    if (!adopted) {
      record = { ...intent, netnsIdentity: await createNamespace(pod.netns) }
      store.write(record)
    }
    return await callSetUp(context, manager, record, signal)
  } catch (error) {
    await tearDown(context, record).catch((cleanUp: unknown) =>
      context.warn(
        `pod ${podKey(pod)}: what its failed set-up left will be torn down later: ${messageOf(cleanUp)}`,
        { error: cleanUp },
      ),
    )
    throw error
  }
}

async function adopt(path: string) {
  const identity = await namespaceAt(path)
  if (!identity) throw errors.NOT_A_NETNS({ path })
  if (isNamespaceAt(OWN_NETNS, identity)) throw errors.OWN_NETNS({ path })
  return identity
}
