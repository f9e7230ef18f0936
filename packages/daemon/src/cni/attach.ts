import { isIP } from 'node:net'
import { messageOf, type PodInterface, podKey } from '@podwire/api'
import type { LocalNetworkHost, SandboxRecord } from '@podwire/core'
import { type AttachmentRequest, CniCode, type PluginResult, pluginError } from '@podwire/libcni/plugin'
import { readArgs, sandboxIdOf } from './attachment.ts'
import { interfaceOf, resultOf } from './result.ts'
import { readWishes, unsupported, type Wishes } from './wishes.ts'

/** What an ADD made. */
export interface Attached {
  readonly record: SandboxRecord
  readonly result: PluginResult
}

/**
 * Sets the pod of an attachment up. What was asked for and not given is an error, and undone; so is what nobody waits for any
 * more when it is there.
 */
export async function attach(
  host: LocalNetworkHost,
  request: AttachmentRequest,
  signal: AbortSignal,
): Promise<Attached> {
  if (request.prevResult)
    throw unsupported(
      'prevResult',
      request.prevResult,
      'podwire makes the interface, and is the first plugin of its network',
    )
  const { containerId, ifName, netns, name: network } = request
  const args = readArgs(request)
  const wishes = readWishes(request, args)
  const { namespace, name, podUid } = args
  const record = await host.setUpPod(
    {
      namespace,
      name,
      sandboxId: sandboxIdOf(request),
      netns,
      annotations: wishes.annotations,
      portMappings: wishes.portMappings,
      attachment: { network, containerId, ifName, ...(podUid === undefined ? {} : { podUid }) },
      // A second interface in place of the first would break the connections of whoever is running.
      mustBeNew: true,
    },
    { signal },
  )
  try {
    signal.throwIfAborted()
    const made = interfaceOf(record)
    if (!made)
      throw unsupported('CNI_IFNAME', ifName, `network plugin ${record.plugin} made another interface`)
    checkGiven(wishes, made, record)
    return { record, result: resultOf(record, made, wishes.dns) }
  } catch (error) {
    // The first error is the one to tell; the host tells of the other, and its record stays.
    await detachRecord(host, record).catch(() => {})
    throw error
  }
}

/** Takes an attachment away; one that was never there is fine, and so is a pod that came another way. */
export async function detach(host: LocalNetworkHost, request: AttachmentRequest): Promise<void> {
  const record = await host.sandbox(sandboxIdOf(request))
  if (record && isOf(record, request)) await detachRecord(host, record)
}

/** @throws CniError 3 where the attachment isn't known; what the plugin's check throws */
export async function checkAttached(
  host: LocalNetworkHost,
  request: AttachmentRequest,
  signal: AbortSignal,
): Promise<void> {
  const record = await host.sandbox(sandboxIdOf(request))
  if (!record || !isOf(record, request))
    throw pluginError(
      CniCode.unknownContainer,
      `${request.ifName} of container ${request.containerId} was never attached here, or is detached`,
    )
  if (record.phase !== 'ready')
    throw pluginError(CniCode.tryAgainLater, `pod ${podKey(record.pod)} is ${record.phase}`)
  const { prevResult, ifName } = request
  const own = (interfaceOf(record)?.ips ?? []).map(canonical)
  for (const { address, interface: index } of prevResult?.ips ?? []) {
    const link = index === undefined ? undefined : prevResult?.interfaces?.[index]
    // Plugins behind this one have interfaces of their own.
    if (link && (link.name !== ifName || !link.sandbox)) continue
    const ip = canonical(address.split('/')[0] ?? '')
    if (!own.includes(ip))
      throw pluginError(
        CniCode.internal,
        `${ip} of prevResult is not an address of ${ifName}: it has ${own.join(', ')}`,
      )
  }
  await host.checkPod(record.pod, { signal })
}

/** Takes away what came through the door for a network, and isn't valid any more. Goes on past what fails. */
export async function collect(
  host: LocalNetworkHost,
  network: string,
  isStaying: (record: SandboxRecord) => boolean,
): Promise<void> {
  const found = (await host.pods()).filter(({ attachment }) => attachment?.network === network)
  const ended = await Promise.allSettled(
    found.filter((record) => !isStaying(record)).map((record) => detachRecord(host, record)),
  )
  const failures = ended.flatMap((one) => (one.status === 'rejected' ? [messageOf(one.reason)] : []))
  if (failures.length > 0) throw pluginError(CniCode.internal, failures.join('; '))
}

export async function detachRecord(host: LocalNetworkHost, { pod }: SandboxRecord): Promise<void> {
  const { namespace, name, sandboxId } = pod
  await host.tearDownPod({ namespace, name, sandboxId })
}

const isOf = ({ attachment }: SandboxRecord, { containerId, ifName }: AttachmentRequest): boolean =>
  attachment?.containerId === containerId && attachment.ifName === ifName

function checkGiven({ ips, mac, isInRange }: Wishes, made: PodInterface, { plugin }: SandboxRecord): void {
  const own = made.ips.map(canonical)
  const missing = ips.find((ip) => !own.includes(canonical(ip)))
  if (missing !== undefined)
    throw unsupported('ips', ips, `network plugin ${plugin} gave the pod ${own.join(', ') || 'no address'}`)
  if (mac !== undefined && made.mac?.toLowerCase() !== mac)
    throw unsupported(
      'mac',
      mac,
      `network plugin ${plugin} gave the pod ${made.mac ?? 'none that it tells of'}`,
    )
  const outside = isInRange && own.find((ip) => !isInRange(ip))
  if (outside !== undefined)
    throw unsupported('ipRanges', outside, `network plugin ${plugin} gives addresses by its pod CIDR alone`)
}

/** One spelling for each address: of IPv6 there are many. */
function canonical(address: string): string {
  return isIP(address) === 6 && !address.includes('%')
    ? new URL(`http://[${address}]`).hostname.slice(1, -1)
    : address
}
