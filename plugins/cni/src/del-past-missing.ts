import type { CachedAttachment, CNI, NetworkConfigList, OperationOptions } from '@podwire/libcni'
import { isCniError } from '@podwire/libcni'

/**
 * DEL, past plugins that miss what is gone: what one of them can't undo must not keep the others from giving back an
 * address.
 */
export async function delPastMissing(
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

/** Drops what is remembered: a list without plugins has nothing to undo. */
export function forget(
  cni: CNI,
  config: NetworkConfigList,
  attachment: CachedAttachment,
  options: OperationOptions,
) {
  return cni.del({ ...config, plugins: [] }, attachment, { ...options, configFrom: 'caller' })
}
