import { type CacheContents, openCache } from './cache/cache.ts'
import type { CachedAttachment } from './cache/entry.ts'
import { withLock } from './cache/lock.ts'
import { mayBeOf } from './cache/owner.ts'
import type { Network } from './config/network-config.ts'
import { type OperationOptions, withDeadline } from './invoke/deadline.ts'
import { type Attachment, checkAttachment } from './invoke/environment.ts'
import { findPlugin } from './invoke/find-plugin.ts'
import { askVersions, type PluginVersions } from './invoke/plugin-versions.ts'
import { checkNetworkName } from './names.ts'
import { add, refuseExisting } from './operations/add.ts'
import { check } from './operations/check.ts'
import type { OperationContext } from './operations/context.ts'
import { del } from './operations/del.ts'
import { type AttachmentId, gc } from './operations/gc.ts'
import { status } from './operations/status.ts'
import { validate } from './operations/validate.ts'
import type { AnyResult } from './result/result.ts'

export interface CniOptions {
  /** Where plugin binaries are looked for, in this order; plugins get it as CNI_PATH. */
  readonly pluginDirectories: readonly string[]
  /** Results are kept in `results` below it, as Go's libcni keeps them; by default `/var/lib/cni`. */
  readonly cacheDirectory?: string
  /** Milliseconds to undo a failed ADD in; by default 30 s. */
  readonly rollbackDeadlineMs?: number
}

export interface DelOptions extends OperationOptions {
  /** Whether to tear down by the configuration that ADD was run with, or by the caller's; by default `cache`. */
  readonly configFrom?: 'cache' | 'caller'
}

/** The operations of CNI on a network: a list, or a single configuration. Every one rejects with a `CniError`. */
export interface CNI {
  /**
   * Attaches, and resolves with the last plugin's result. Undone where it fails; refused, and nothing run, where the interface
   * is in the namespace already.
   */
  add(network: Network, attachment: Attachment, options?: OperationOptions): Promise<AnyResult>
  /** Rejects as `add` would where the interface is in the namespace already; runs nothing. */
  assertFree(attachment: Attachment, options?: OperationOptions): Promise<void>
  /** Resolves where the attachment is as ADD left it. */
  check(network: Network, attachment: Attachment, options?: OperationOptions): Promise<void>
  /**
   * Detaches; what isn't attached is fine. Given a network's name alone it goes by the cached configuration, and does
   * nothing where there is none.
   */
  del(network: Network | string, attachment: Attachment, options?: DelOptions): Promise<void>
  /** Detaches whatever isn't in `valid`, and lets the plugins clean up. */
  gc(network: Network, valid: readonly AttachmentId[], options?: OperationOptions): Promise<void>
  /** Rejects while the network can't take an ADD, with the plugin's code (50, 51 …). */
  status(network: Network, options?: OperationOptions): Promise<void>
  /** The versions that a plugin speaks. */
  version(plugin: string, options?: OperationOptions): Promise<PluginVersions>
  /** Rejects where a plugin is missing or doesn't speak the version; resolves with the declared capabilities, sorted. */
  validate(network: Network, options?: OperationOptions): Promise<string[]>
  /** The cached attachment; undefined where there is none. Without a result where its ADD never ended. */
  cached(network: string, attachment: AttachmentId): Promise<CachedAttachment | undefined>
  /** All cached attachments, or one container's. */
  attachments(containerId?: string): Promise<CacheContents>
}

/** CNI with plugins from these directories. */
export function createCni(options: CniOptions): CNI {
  const { pluginDirectories, cacheDirectory = '/var/lib/cni', rollbackDeadlineMs = 30_000 } = options
  const cache = openCache(cacheDirectory)

  function run<Value>(options: OperationOptions, work: (context: OperationContext) => Promise<Value>) {
    return withDeadline(options, (deadline) =>
      work({ pluginDirectories, cache, deadline, trace: options.trace }),
    )
  }

  // Two locks. The attachment's protects what its plugins have made and its cache entry: the roll-back of one ADD must never
  // meet another ADD of the same. The network's is GC's, which would take for stale what is only just being made; the spec
  // wants it to run beside nothing else.
  const networkLock = (network: string) => `network ${network} in ${cacheDirectory}`

  function onAttachment<Value>(
    network: string,
    attachment: Attachment,
    options: OperationOptions,
    work: (context: OperationContext) => Promise<Value>,
  ) {
    return run(options, (context) =>
      withLock(networkLock(network), 'shared', context.deadline, () =>
        withLock(cache.path({ network, ...attachment }), 'exclusive', context.deadline, () => work(context)),
      ),
    )
  }

  function assertNames(network: string, attachment: Attachment) {
    checkAttachment(attachment)
    checkNetworkName(network)
  }

  const cni: CNI = {
    async add(network, attachment, options = {}) {
      assertNames(network.name, attachment)
      return onAttachment(network.name, attachment, options, (context) =>
        add(context, network, attachment, rollbackDeadlineMs),
      )
    },

    async assertFree(attachment, options = {}) {
      checkAttachment(attachment)
      await run(options, (context) => refuseExisting(context, attachment))
    },

    async check(network, attachment, options = {}) {
      assertNames(network.name, attachment)
      return onAttachment(network.name, attachment, options, (context) => check(context, network, attachment))
    },

    async del(network, attachment, { configFrom = 'cache', ...options } = {}) {
      const name = typeof network === 'string' ? network : network.name
      assertNames(name, attachment)
      return onAttachment(name, attachment, options, (context) =>
        del(context, network, attachment, configFrom),
      )
    },

    async gc(network, valid, options = {}) {
      for (const id of valid) assertNames(network.name, id)
      return run(options, (context) =>
        withLock(networkLock(network.name), 'exclusive', context.deadline, () => gc(context, network, valid)),
      )
    },

    status: (network, options = {}) => run(options, (context) => status(context, network)),

    version: (plugin, options = {}) =>
      run(options, async ({ deadline }) =>
        askVersions(plugin, await findPlugin(plugin, pluginDirectories), deadline),
      ),

    validate: (network, options = {}) => run(options, (context) => validate(context, network)),

    async cached(network, attachment) {
      assertNames(network, attachment)
      return cache.read({ network, ...attachment })
    },

    async attachments(containerId) {
      const { attachments, corrupt } = await cache.list()
      if (containerId === undefined) return { attachments, corrupt }
      return {
        attachments: attachments.filter((attachment) => attachment.containerId === containerId),
        corrupt: corrupt.filter((entry) => mayBeOf(containerId, entry)),
      }
    },
  }
  return cni
}
