import { entryFile } from '../cache/cache.ts'
import { type Network, type NetworkConfigList, toNetworkConfigList } from '../config/network-config.ts'
import { several } from '../errors.ts'
import { callPlugin } from '../invoke/call-plugin.ts'
import { type Attachment, checkAttachment } from '../invoke/environment.ts'
import { atLeast } from '../version.ts'
import { type OperationContext, prepareCall } from './context.ts'
import { del } from './del.ts'

/** What names an attachment to a network. */
export type AttachmentId = Pick<Attachment, 'containerId' | 'ifName'>

/**
 * Tears down every attachment to this network that isn't in `valid`, then, from 1.1.0, tells each plugin which are.
 * Goes on past errors, and throws them all at its end.
 */
export async function gc(
  context: OperationContext,
  given: Network,
  valid: readonly AttachmentId[],
): Promise<void> {
  const network = toNetworkConfigList(given)
  if (network.disableGC) return
  const errors: unknown[] = []
  const attempt = (work: Promise<unknown>) => work.catch((error) => errors.push(error))
  for (const stale of await staleAttachments(context, network.name, valid))
    await attempt(tearDown(context, given, stale))
  if (atLeast(network.cniVersion, '1.1.0'))
    for (const plugin of network.plugins) await attempt(callGc(context, network, plugin, valid))
  if (errors.length > 0) throw several(`GC of network ${network.name} failed`, errors)
}

// Names in the cache are from outside, like any other's.
async function tearDown(context: OperationContext, network: Network, attachment: Attachment): Promise<void> {
  checkAttachment(attachment)
  await del(context, network, attachment, 'cache')
}

async function callGc(
  context: OperationContext,
  network: NetworkConfigList,
  plugin: NetworkConfigList['plugins'][number],
  valid: readonly AttachmentId[],
) {
  const attachments = valid.map(({ containerId, ifName }) => ({ containerID: containerId, ifname: ifName }))
  const extra = { 'cni.dev/valid-attachments': attachments, 'cni.dev/attachments': attachments }
  await callPlugin(await prepareCall(context, { command: 'GC', network, plugin, extra }))
}

async function staleAttachments(
  { cache }: OperationContext,
  network: string,
  valid: readonly AttachmentId[],
): Promise<Attachment[]> {
  const keep = new Set(valid.map((id) => entryFile({ network, ...id })))
  const { attachments, corrupt } = await cache.list()
  const readable = attachments
    .filter((attachment) => attachment.network === network)
    .filter((attachment) => !keep.has(entryFile(attachment)))
  // An entry that may be another network's is left to whoever knows.
  const unreadable = corrupt
    .filter(({ file }) => !keep.has(file))
    .flatMap(({ owner }) => (owner?.network === network ? [owner] : []))
  return [...readable, ...unreadable].map(({ containerId, ifName }) => ({ containerId, ifName }))
}
