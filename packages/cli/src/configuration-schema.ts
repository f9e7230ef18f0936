import { configJsonSchema, createPluginCatalog } from '@podwire/core'
import { installation, loadConfiguration } from './configuration.ts'
import type { GlobalFlags } from './flags.ts'
import { stderrLogger } from './logger.ts'

/** The JSON Schema of a configuration file there, with the options of the plugins that it can reach. */
export async function configurationSchema(flags: GlobalFlags): Promise<Record<string, unknown>> {
  const configuration = await loadConfiguration(flags)
  const log = stderrLogger(flags.verbose ?? false)
  const catalog = await createPluginCatalog({ configuration, installation: installation(), log })
  return configJsonSchema({ catalog })
}
