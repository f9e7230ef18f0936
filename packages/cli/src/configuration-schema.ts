import { configJsonSchema, createPluginCatalog, optionsJsonSchema } from '@podwire/core'
import { installation, loadConfiguration } from './configuration.ts'
import type { GlobalFlags } from './flags.ts'
import { stderrLogger } from './logger.ts'

/**
 * The JSON Schema of a configuration file, with the options of the plugins that it can reach.
 * @param which `configured`: only the package that the configuration names is imported; `installed`: all of them are, to
 *   be asked what options they take
 */
export async function configurationSchema(
  flags: GlobalFlags,
  which: 'configured' | 'installed',
): Promise<Record<string, unknown>> {
  const configuration = await loadConfiguration(flags)
  const log = stderrLogger(flags.verbose ?? false)
  const catalog = await createPluginCatalog({ configuration, installation: installation(), log })
  const { networkPlugin } = configuration.config
  const names = which === 'installed' ? [networkPlugin, ...catalog.names()] : [networkPlugin]
  const imports = await Promise.allSettled(names.map((name) => catalog.modules(name)))
  const options = imports
    // One that can't be imported has no options to be told of; `podwire plugins` says why.
    .flatMap((imported) => (imported.status === 'fulfilled' ? imported.value : []))
    .map(({ found, module }) => [found.key, module.options && optionsJsonSchema(module.options)] as const)
  return configJsonSchema(Object.fromEntries(options.filter(([, schema]) => schema !== undefined)))
}
