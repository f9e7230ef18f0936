import { statfs } from 'node:fs/promises'
import { type Logger, messageOf } from '@podwire/api'
import {
  type AnyResult,
  type CachedAttachment,
  type CNI,
  type CniOptions,
  convertResult,
  findPlugin,
  isCniError,
  type NetworkConfigList,
  type OperationOptions,
} from '@podwire/libcni'
import { loopback } from './loopback.ts'
import type { WantedAttachment } from './wanted-attachments.ts'

/** dockershim's deadline for one operation; the host's own, which is shorter as a rule, comes by signal. Milliseconds. */
const deadlineMs = 220_000

/** Makes, checks and takes away single attachments. */
export interface Attachments {
  /** CNI with the plugin directories of this network. */
  cni(network: NetworkConfigList): CNI
  attach(wanted: WantedAttachment, signal?: AbortSignal): Promise<AnyResult>
  /** By the configuration that it was made with. What is gone already is fine. */
  detach(cached: CachedAttachment, signal?: AbortSignal): Promise<void>
  /** Rejects while this network can't take a pod: a plugin is missing, or says so itself. */
  ready(network: NetworkConfigList): Promise<void>
  /** What is remembered: of one sandbox, or of all. */
  remembered(sandboxId?: string): ReturnType<CNI['attachments']>
}

export interface AttachmentsOptions {
  readonly binDirs: readonly string[]
  readonly vendorPrefix: string
  readonly cacheDirectory: string
  readonly log: Logger
  readonly createCni: (options: CniOptions) => CNI
}

export function createAttachments({
  binDirs,
  vendorPrefix,
  cacheDirectory,
  log,
  createCni,
}: AttachmentsOptions): Attachments {
  const prefix = vendorPrefix.replace(/\/+$/, '')
  const directories = ({ plugins }: NetworkConfigList) => [
    ...new Set([...binDirs, ...plugins.map(({ type }) => `${prefix}/opt/${type}/bin`)]),
  ]
  const cni = (network: NetworkConfigList) =>
    createCni({ pluginDirectories: directories(network), cacheDirectory })

  /** Takes away what an attachment's plugins made, and forgets it. */
  const detach = async (cached: CachedAttachment, signal?: AbortSignal): Promise<void> => {
    const { config, ifName, containerId } = cached
    const options = { deadlineMs, ...(signal ? { signal } : {}) }
    if (!config) return cni(loopback).del(cached.network, cached, options)
    const there = cached.netns !== undefined && (await isNamespace(cached.netns))
    if (!there)
      log.warn(`sandbox ${containerId}: no namespace at ${cached.netns}: ${ifName} is taken down without`)
    const attachment = there ? cached : { ...cached, netns: '' }
    try {
      await delPastMissing(cni(config), config, attachment, options)
    } catch (error) {
      if (config.name !== loopback.name) throw error
      log.warn(`sandbox ${containerId}: taking down ${ifName} failed: ${messageOf(error)}`)
      await forget(cni(config), config, cached, options)
    }
  }

  return {
    cni,
    detach,
    attach: ({ network, attachment }, signal) =>
      cni(network).add(network, attachment, { deadlineMs, ...(signal ? { signal } : {}) }),
    ready: async (network) => {
      for (const { type } of [...loopback.plugins, ...network.plugins]) {
        await findPlugin(type, directories(network))
      }
      await cni(network).status(network)
    },
    remembered: (sandboxId) => cni(loopback).attachments(sandboxId),
  }
}

/** The addresses of a result as CIDRs, those of interfaces that stay on the host left out. */
export function addressesOf(result: AnyResult): string[] {
  const { ips = [], interfaces = [] } = convertResult(result, '1.1.0')
  return ips
    .filter((ip) => ip.interface === undefined || interfaces[ip.interface]?.sandbox)
    .map(({ address }) => address)
}

/**
 * DEL, past plugins that miss what is gone: what one of them can't undo must not keep the others from giving back an
 * address.
 */
async function delPastMissing(
  cni: CNI,
  config: NetworkConfigList,
  attachment: CachedAttachment,
  options: OperationOptions,
): Promise<void> {
  let plugins = config.plugins
  for (;;) {
    try {
      return await cni.del({ ...config, plugins }, attachment, { ...options, configFrom: 'caller' })
    } catch (error) {
      const failed = missingPart(error, attachment)
      const index = plugins.findLastIndex(({ type }) => type === failed)
      if (index < 0) throw error
      plugins = plugins.slice(0, index)
    }
  }
}

/** The plugin that failed because what it should remove is gone; undefined where it failed for another reason. */
function missingPart(error: unknown, { netns }: CachedAttachment): string | undefined {
  if (!isCniError(error) || error.code !== 'ERR_CNI_PLUGIN_FAILED') return undefined
  // With the namespace there, a missing file may well be the socket of a daemon that will be back.
  const missing = netns === '' ? /no such file or directory|link not found/i : /link not found/i
  const { plugin } = error.details
  return missing.test(error.message) && typeof plugin === 'string' ? plugin : undefined
}

// A list without plugins has nothing to undo, so that all it does is forget.
function forget(
  cni: CNI,
  config: NetworkConfigList,
  attachment: CachedAttachment,
  options: OperationOptions,
) {
  return cni.del({ ...config, plugins: [] }, attachment, { ...options, configFrom: 'caller' })
}

const nsfs = 0x6e736673

/** Whether a namespace is at `path`: after a reboot, or half a removal, it is an empty file. */
async function isNamespace(path: string): Promise<boolean> {
  return statfs(path).then(
    ({ type }) => type === nsfs,
    () => false,
  )
}
