import { DEFAULT_PLUGIN_NAME } from '@podwire/api'
import type { Config } from '../config/parse.ts'

/**
 * What to tell whoever wrote a pod CIDR or options of a plugin, and forgot to say which plugin is to set pods up: they get no
 * network then, and nothing fails. Undefined where all is well.
 */
export function unusedKeys({ networkPlugin, podCIDR, plugins }: Config): string | undefined {
  if (networkPlugin !== DEFAULT_PLUGIN_NAME) return undefined
  const others = Object.keys(plugins).filter((name) => name !== networkPlugin)
  const unused = [...(podCIDR === '' ? [] : ['podCIDR']), ...others.map((name) => `plugins.${name}`)]
  if (unused.length === 0) return undefined
  return `pods get no network: the network plugin is ${networkPlugin}, which takes no notice of ${unused.join(', ')}. Say which one is to set them up: "networkPlugin": "${others[0] ?? 'kubenet'}"`
}
