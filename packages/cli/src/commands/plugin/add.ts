import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import { command, type Does } from '../../command.ts'
import { loadConfiguration } from '../../configuration.ts'
import type { GlobalFlags } from '../../flags.ts'
import { print, printNote } from '../../output.ts'
import { checkPublished } from '../../registry/check-published.ts'
import { editConfig } from '../../registry/edit-config.ts'
import { addPackages, projectDirOf } from '../../registry/package-manager.ts'
import { parsePackageSpec } from '../../registry/published.ts'
import { starter } from '../../starter.ts'

type Flags = GlobalFlags & { use?: boolean; allowScripts?: boolean }

export function addCommand(does: Does): Command {
  return command(
    'add',
    'install a plugin package, once its manifest in the registry says that it fits',
    'podwire plugin add acme.io/mysdn --use',
  )
    .argument('<name>', 'of the plugin or of its package, with @VERSION or without')
    .option('--use', 'make it the network plugin of the configuration')
    .option('--allow-scripts', 'let packages run their install scripts')
    .action(does(add))
}

async function add(name: string, { use = false, allowScripts = false, ...flags }: Flags): Promise<void> {
  const spec = parsePackageSpec(name)
  const { file, dir } = await loadConfiguration(flags)
  const project = projectDirOf(file === undefined ? process.cwd() : dir)
  const { published, manifest } = await checkPublished(spec, project)
  await addPackages(project, [`${published.name}@${published.version}`], allowScripts)
  print(`Installed ${published.name}@${published.version} in ${project}`)
  if (!allowScripts) printNote('no install script has run; where the package needs its own: --allow-scripts')

  const offered = manifest.plugins === 'dynamic' ? [] : manifest.plugins
  const networkPlugin = use || file === undefined ? offered[0] : undefined
  const edit = {
    addOptions: [manifest.key],
    ...(networkPlugin === undefined ? {} : { networkPlugin }),
  }
  if (file === undefined)
    await writeStarter(join(project, 'podwire.config.json'), manifest.key, networkPlugin)
  else {
    const written = await editConfig(file, edit)
    if (typeof written === 'string') print(`Write into ${file}:\n${written}`)
    else if (written) print(`Wrote ${file}`)
  }
  if (networkPlugin === undefined && offered[0] !== undefined)
    print(`To use it: "networkPlugin": "${offered[0]}" in the configuration`)
}

async function writeStarter(file: string, key: string, networkPlugin: string | undefined): Promise<void> {
  const config = await starter(networkPlugin, key)
  await writeFile(file, `${JSON.stringify(config, null, 2)}\n`, { flag: 'wx' })
  print(`Wrote ${file}`)
}
