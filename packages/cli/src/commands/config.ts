import { command, commandGroup, type DefineCommand } from '../command.ts'
import { installation, loadConfiguration, STARTER_CONFIG } from '../configuration.ts'
import type { GlobalFlags } from '../flags.ts'
import { stderrLogger } from '../logger.ts'
import { print, printJson, printNote } from '../output.ts'

const define: DefineCommand = (does) =>
  commandGroup('config', 'look at the configuration', [
    command(
      'check',
      'say whether a start would accept it, the options of plugins too',
      'podwire config check',
    ).action(does(check)),
    command('print', 'print it as JSON, with every default filled in', 'podwire config print').action(
      does(async (flags: GlobalFlags) => printJson((await loadConfiguration(flags)).config, 2)),
    ),
    command(
      'schema',
      'print the JSON Schema of a configuration file, with the options of installed plugins',
      'podwire config schema > podwire.schema.json',
    ).action(
      does(async (flags: GlobalFlags) => {
        const { configurationSchema } = await import('../configuration-schema.ts')
        printJson(await configurationSchema(flags, 'installed'), 2)
      }),
    ),
  ])
export default define

async function check(flags: GlobalFlags): Promise<void> {
  const { createPluginCatalog, unusedKeys, validateConfiguration } = await import('@podwire/core')
  const configuration = await loadConfiguration(flags)
  const log = stderrLogger(flags.verbose ?? false)
  const catalog = await createPluginCatalog({ configuration, installation: installation(), log })
  await validateConfiguration(configuration, catalog)
  const { file, dir, config } = configuration
  const unused = unusedKeys(config)
  if (unused !== undefined) printNote(`warn: ${unused}`)
  // Another plugin may need none; this one sets no pod up without.
  if (config.networkPlugin === STARTER_CONFIG.networkPlugin && config.podCIDR === '' && !config.cluster)
    printNote(
      `warn: pods can't be set up before an event says the pod CIDR. Say it here: "podCIDR": "${STARTER_CONFIG.podCIDR}", or a CIDR such as "10.88.0.0/16"`,
    )
  print(file ? `${file}: ok` : `No configuration from ${dir} upwards: what podwire init writes holds.`)
}
