import { existsSync, readdirSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { messageOf } from '@podwire/api'
import { removeIfThere } from '@podwire/api/files'
import { formatShimSettings, shimSettingsPath } from '@podwire/shim'
import type { Command } from 'commander'
import { chainable, conflistOf, ownerOfConflist, versionsOf } from '../../cni/conflist.ts'
import { listNetworks } from '../../cni/networks.ts'
import { type PlaceFlags, placeDefaults, placesOf } from '../../cni/places.ts'
import { replaceFile } from '../../cni/replace-file.ts'
import { installedShim, ownShim, removeShim } from '../../cni/shim-file.ts'
import { command, type Does } from '../../command.ts'
import { daemonSocket } from '../../daemon-host.ts'
import { errors } from '../../errors.ts'
import { collect, type GlobalFlags } from '../../flags.ts'
import { print, printNote } from '../../output.ts'

export function installCommand(does: Does): Command {
  return withPlaceFlags(
    command(
      'install',
      'have container runtimes get their pods’ networks from the daemon: its executable first, the network’s configuration last',
      'podwire cni install',
      'podwire cni install --bin-dir /usr/lib/cni --chain portmap',
    ),
  )
    .option(
      '--chain <plugin>',
      `have this plugin work behind ours: ${chainable.join(', ')}; may be repeated`,
      collect(parseChained),
    )
    .option('--socket <path>', 'of the daemon (default: podwire.sock of the state directory)')
    .action(does(install))
}

export function uninstallCommand(does: Does): Command {
  return withPlaceFlags(
    command('uninstall', 'take away what podwire cni install wrote', 'podwire cni uninstall'),
  ).action(does(uninstall))
}

export function withPlaceFlags(one: Command): Command {
  return one
    .option('--bin-dir <dir>', `where runtimes find plugins (default: ${placeDefaults.binDir})`)
    .option('--conf-dir <dir>', `where they find networks (default: ${placeDefaults.confDir})`)
    .option('--name <name>', `of the network (default: ${placeDefaults.name})`)
}

interface InstallFlags extends GlobalFlags, PlaceFlags {
  readonly chain?: readonly string[]
  readonly socket?: string
}

function parseChained(type: string): string {
  if (chainable.includes(type)) return type
  throw errors.USAGE({ what: '--chain', value: type, expected: `one of ${chainable.join(', ')}` })
}

/**
 * What there is already is looked at before anything is written, and the configuration comes last: a runtime never finds a
 * network that nobody answers for.
 */
async function install({ chain = [], ...flags }: InstallFlags): Promise<void> {
  const places = placesOf(flags)
  const name = flags.name ?? placeDefaults.name
  const socket = flags.socket === undefined ? await daemonSocket(flags) : resolve(flags.socket)
  const { shim, content } = await ownShim()
  if (installedShim(places.shim, content)?.owner === 'other') throw errors.CNI_NOT_OURS({ file: places.shim })
  if (ownerOfConflist(places.conflist) === 'other') throw errors.CNI_NOT_OURS({ file: places.conflist })
  const networks = await listNetworks(places.confDir)
  const same = networks.find((network) => network.name === name && network.file !== places.conflist)
  if (same) throw errors.CNI_NETWORK_TAKEN({ name, file: same.file })
  for (const type of chain)
    if (!existsSync(join(dirname(places.shim), type)))
      throw errors.CNI_CHAINED_MISSING({ type, dir: dirname(places.shim) })
  const versions = versionsOf(await Promise.all(chain.map((type) => spokenBy(type, dirname(places.shim)))))
  if (versions.length === 0) throw errors.CNI_CHAIN_VERSIONS({ chain })
  await assertReady(socket)

  replaceFile(
    shimSettingsPath(places.shim),
    formatShimSettings({ socket, journal: join(dirname(socket), 'cni-journal') }),
    0o644,
  )
  replaceFile(places.shim, content, 0o755)
  replaceFile(places.conflist, conflistOf(name, chain, versions), 0o644)
  print(`${places.shim} (${shim.kind}) passes calls to ${socket}`)
  print(`${places.conflist} is the network ${name}`)
  const first = (await listNetworks(places.confDir)).find(({ problem }) => problem === undefined)
  if (first && first.file !== places.conflist)
    printNote(`${first.file} comes before it: runtimes that take the first network go on with ${first.name}`)
}

async function spokenBy(type: string, dir: string): Promise<readonly string[]> {
  const { createCni } = await import('@podwire/libcni')
  return (await createCni({ pluginDirectories: [dir] }).version(type)).supportedVersions
}

/** @throws PodwireError what `connectNetworkHost` throws; `NOT_READY` */
async function assertReady(socket: string): Promise<void> {
  const { connectNetworkHost } = await import('@podwire/client')
  const host = await connectNetworkHost({ socket })
  try {
    const readiness = await host.status()
    if (!readiness.ready)
      throw errors.NOT_READY({ plugin: host.daemon.networkPlugin, reason: readiness.reason })
  } finally {
    await host.close()
  }
}

/** The configuration goes first: what no network names is not called. */
async function uninstall(flags: GlobalFlags & PlaceFlags): Promise<void> {
  const places = placesOf(flags)
  const owner = ownerOfConflist(places.conflist)
  const { content } = await ownShim()
  const installed = installedShim(places.shim, content)
  if (owner === 'other') throw errors.CNI_NOT_OURS({ file: places.conflist })
  if (installed?.owner === 'other') throw errors.CNI_NOT_OURS({ file: places.shim })
  if (owner) removeIfThere(places.conflist)
  print(owner ? `${places.conflist} is gone` : `${places.conflist} was not there`)
  const others = ownConflists(places.confDir)
  if (others.length > 0) {
    print(`${places.shim} stays, as ${others.join(', ')} names it`)
    return
  }
  removeShim(places.shim)
  print(installed ? `${places.shim} is gone` : `${places.shim} was not there`)
}

function ownConflists(confDir: string): string[] {
  try {
    return readdirSync(confDir)
      .map((name) => join(confDir, name))
      .filter((file) => basename(file).endsWith('.conflist') && ownerOfConflist(file) === 'ours')
  } catch (error) {
    printNote(`${confDir} can't be read: ${messageOf(error)}`)
    return []
  }
}
