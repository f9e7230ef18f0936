import { isDeepStrictEqual } from 'node:util'
import {
  type CachedAttachment,
  type CNI,
  CniCode,
  type CniError,
  isCniError,
  type NetworkConfigList,
  type OperationOptions,
} from '@podwire/libcni'

/**
 * DEL, past plugins that have nothing to undo: what one of them misses must not keep the others from giving back an
 * address. Where the ADD never came to its end and a plugin fails on the configuration of that time, what failed goes on
 * with the configuration of today.
 */
export async function undoAttachment(
  cni: (network: NetworkConfigList) => CNI,
  config: NetworkConfigList,
  attachment: CachedAttachment,
  { today, ...options }: OperationOptions & { today?: NetworkConfigList | undefined },
): Promise<void> {
  let network = config
  let corrected = today && correctedList(config, today)
  for (;;) {
    try {
      return await cni(network).del(network, attachment, { ...options, configFrom: 'caller' })
    } catch (error) {
      const { plugins } = network
      const index = isPluginFailure(error)
        ? plugins.findLastIndex(({ type }) => type === error.details['plugin'])
        : -1
      if (!isPluginFailure(error) || index < 0) throw error
      if (hasNothingToUndo(error, attachment)) {
        network = { ...network, plugins: plugins.slice(0, index) }
      } else if (corrected && mayBeTheConfiguration(error, attachment)) {
        // Those behind it are done.
        network = { ...corrected, plugins: corrected.plugins.slice(0, index + 1) }
        corrected = undefined
      } else throw error
    }
  }
}

/** Drops what is remembered: a list without plugins has nothing to undo. */
export function forget(
  cni: CNI,
  config: NetworkConfigList,
  attachment: CachedAttachment,
  options: OperationOptions,
) {
  return cni.del({ ...config, plugins: [] }, attachment, { ...options, configFrom: 'caller' })
}

/** Whether a DEL may have failed because the ADD, which never came to its end, had a configuration that can't be used. */
export function mayBeTheConfiguration(error: unknown, { result }: CachedAttachment): boolean {
  return result === undefined && isPluginFailure(error) && !passing.includes(error.cniCode)
}

/** What may go well next time with the same configuration. */
const passing: readonly number[] = [CniCode.ioFailure, CniCode.tryAgainLater]

/** By these a plugin says that it doesn't understand its configuration, and so that it did nothing with it. */
const refusals: readonly number[] = [
  CniCode.incompatibleVersion,
  CniCode.unsupportedField,
  CniCode.decodingFailure,
  CniCode.invalidConfig,
]

function hasNothingToUndo(error: CniError, { netns, result }: CachedAttachment): boolean {
  if (result === undefined && refusals.includes(error.cniCode)) return true
  // With the namespace there, a missing file may well be the socket of a daemon that will be back.
  const missing = netns === '' ? /no such file or directory|link not found/i : /link not found/i
  return missing.test(error.message)
}

function isPluginFailure(error: unknown): error is CniError {
  return isCniError(error) && error.code === 'ERR_CNI_PLUGIN_FAILED'
}

/** The plugins that ran, each as its network configures it today; undefined where that is the same. */
function correctedList(config: NetworkConfigList, today: NetworkConfigList): NetworkConfigList | undefined {
  if (isDeepStrictEqual(config.raw, today.raw)) return undefined
  const plugins = config.plugins.map(
    (plugin) => today.plugins.find(({ type }) => type === plugin.type) ?? plugin,
  )
  return { ...today, plugins }
}
