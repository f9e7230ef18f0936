import { statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { type Logger, messageOf, printable } from '@podwire/api'
import {
  type AnyResult,
  type CachedAttachment,
  type CNI,
  type CniOptions,
  findInterface,
  findPlugin,
  type NetworkConfigList,
} from '@podwire/libcni'
import { errors } from './errors.ts'
import { loopback } from './loopback.ts'
import { forget, mayBeTheConfiguration, undoAttachment } from './undo-attachment.ts'
import type { WantedAttachment } from './wanted-attachments.ts'

/** dockershim's deadline for one operation; the host's own, which is shorter as a rule, comes by signal. Milliseconds. */
const deadlineMs = 220_000

/** Makes, checks and removes single attachments. */
export interface Attachments {
  /** CNI with the plugin directories of this network. */
  cni(network: NetworkConfigList): CNI
  attach(wanted: WantedAttachment, signal?: AbortSignal): Promise<AnyResult>
  /** Rejects where an interface of that name is in the namespace already, which is somebody else's. */
  assertFree(wanted: WantedAttachment, signal: AbortSignal): Promise<void>
  /** Whether the interface is in the namespace, and up. */
  isUp(wanted: WantedAttachment, signal: AbortSignal): Promise<boolean>
  /** No longer remembers an attachment, and leaves its interface as it is. */
  forget(wanted: WantedAttachment, signal: AbortSignal): Promise<void>
  /**
   * By the configuration that it was made with; where that can't be read, or can't be used, by the network of that name
   * as it is today. What is gone already is fine.
   * @throws PodwireError `CNI_UNREADABLE_ATTACHMENT`, `CNI_UNUSABLE_CONFIGURATION`
   */
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
  readonly confDir: string
  /** The network of this name, as it is today. */
  readonly configured: (name: string) => NetworkConfigList | undefined
  readonly log: Logger
  readonly createCni: (options: CniOptions) => CNI
}

export function createAttachments({
  binDirs,
  vendorPrefix,
  cacheDirectory,
  confDir,
  configured,
  log,
  createCni,
}: AttachmentsOptions): Attachments {
  const prefix = vendorPrefix.replace(/\/+$/, '')
  const directories = ({ plugins }: NetworkConfigList) => [
    ...new Set([...binDirs, ...plugins.map(({ type }) => `${prefix}/opt/${type}/bin`)]),
  ]
  const cni = (network: NetworkConfigList) =>
    createCni({ pluginDirectories: directories(network), cacheDirectory })

  /** Undoes what an attachment's plugins made, and forgets it. */
  const detach = async (cached: CachedAttachment, signal?: AbortSignal): Promise<void> => {
    const { network, ifName, containerId } = cached
    const today = configured(network)
    const config = cached.config ?? (network === loopback.name ? loopback : today)
    if (!config) {
      const file = join(cacheDirectory, 'results', `${network}-${containerId}-${ifName}`)
      throw errors.CNI_UNREADABLE_ATTACHMENT({ file, network })
    }
    const options = { deadlineMs, ...(signal ? { signal } : {}) }
    const there = cached.netns !== undefined && (await isNetns(cached.netns))
    if (!there) {
      const where = cached.netns === undefined ? 'none is recorded' : `there is none at ${cached.netns}`
      log.warn(`sandbox ${containerId}: ${ifName} is torn down without a network namespace: ${where}`)
    }
    const attachment = there ? cached : { ...cached, netns: '' }
    try {
      await undoAttachment(cni, config, attachment, { ...options, today })
    } catch (error) {
      if (config.name === loopback.name) {
        log.warn(`sandbox ${containerId}: tearing ${ifName} down failed: ${printable(messageOf(error))}`)
        await forget(cni(config), config, cached, options)
      } else if (mayBeTheConfiguration(error, cached)) {
        throw errors.CNI_UNUSABLE_CONFIGURATION({ network, ifName, confDir }, error)
      } else throw error
    }
  }

  return {
    cni,
    detach,
    assertFree: ({ network, attachment }, signal) => cni(network).assertFree(attachment, { signal }),
    isUp: async ({ attachment: { netns = '', ifName } }, signal) =>
      (await findInterface(netns, ifName, signal))?.up ?? false,
    forget: ({ network, attachment }, signal) =>
      forget(cni(network), network, { ...attachment, network: network.name }, { signal }),
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

const nsfs = 0x6e736673

/** Whether a network namespace is at `path`: after a reboot, or half a removal, it is an empty file. */
async function isNetns(path: string): Promise<boolean> {
  return statfs(path).then(
    ({ type }) => type === nsfs,
    () => false,
  )
}
