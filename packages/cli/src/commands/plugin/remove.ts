import type { Command } from 'commander'
import { command, type Does } from '../../command.ts'
import { installation, loadConfiguration } from '../../configuration.ts'
import { errors } from '../../errors.ts'
import type { GlobalFlags } from '../../flags.ts'
import { stderrLogger } from '../../logger.ts'
import { print } from '../../output.ts'
import { editConfig } from '../../registry/edit-config.ts'
import { projectDirOf, removePackages } from '../../registry/package-manager.ts'
import { parsePackageSpec } from '../../registry/published.ts'

export function removeCommand(does: Does): Command {
  return command(
    'remove',
    'take a plugin package and its options out of the project',
    'podwire plugin remove acme.io/mysdn',
  )
    .argument('<name>', 'of the plugin or of its package')
    .action(does(remove))
}

async function remove(given: string, flags: GlobalFlags): Promise<void> {
  const { createPluginCatalog } = await import('@podwire/core')
  const { name } = parsePackageSpec(given)
  const configuration = await loadConfiguration(flags)
  const { config, file, dir } = configuration
  const log = stderrLogger(flags.verbose ?? false)
  const { discovery } = await createPluginCatalog({ configuration, installation: installation(), log })
  const found = discovery.packages.find(({ packageName }) => packageName === name)
  const isRejected = discovery.rejected.some(({ packageName }) => packageName === name)
  const project = projectDirOf(file === undefined ? process.cwd() : dir)
  if (!found && !isRejected) throw errors.NOT_INSTALLED({ name, dir: project })
  const offered = found && found.plugins !== 'dynamic' ? found.plugins : []
  if (file !== undefined && offered.includes(config.networkPlugin))
    throw errors.PLUGIN_IN_USE({ name: config.networkPlugin, file })
  await removePackages(project, [name])
  print(`Removed ${name} from ${project}`)
  if (file === undefined || !found) return
  const written = await editConfig(file, { removeOptions: [found.key] })
  if (typeof written === 'string') print(`Edit ${file}: ${written}`)
  else if (written) print(`Wrote ${file}`)
}
