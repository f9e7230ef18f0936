import { describeCapabilities, isPodwireError, messageOf, type NetworkPlugin } from '@podwire/api'
import type { LoadedConfig, PluginCatalog, PluginPackage } from '@podwire/core'
import { command, type DefineCommand, withGlobalFlags } from '../command.ts'
import { installation, loadConfiguration } from '../configuration.ts'
import type { GlobalFlags, JsonFlag } from '../flags.ts'
import { withHost } from '../host.ts'
import { stderrLogger } from '../logger.ts'
import { print, printJson, printTable } from '../output.ts'

const define: DefineCommand = (does) =>
  withGlobalFlags(
    command(
      'plugins',
      'list every plugin package found, and what is wrong with those rejected',
      'podwire plugins',
    )
      .option('--outdated', 'ask the registry for newer versions')
      .option('--json', 'print JSON')
      .action(does(plugins)),
  ).addCommand(
    command(
      'reset',
      'start a plugin again that a host left down, as its process crashed too often',
      'podwire plugins reset acme.io/mysdn',
    )
      .argument('<name>', 'of the network plugin')
      .action(does(reset)),
  )
export default define

interface PluginRow {
  readonly name: string
  readonly package: string
  readonly version: string
  readonly path: string
  readonly capabilities: readonly string[]
  readonly state: 'active' | 'available' | 'rejected'
  readonly reason?: string
  /** With `--outdated`: the newest version in the registry that this podwire can use; absent: it has none. */
  readonly newest?: string
  /** The newest version of all, where this podwire can't use it. */
  readonly newestForOthers?: string
}

type Flags = GlobalFlags & JsonFlag & { outdated?: boolean }

/** Of all that is found, only what offers the configured plugin is imported. */
async function plugins({ json = false, outdated = false, ...flags }: Flags): Promise<void> {
  const { createPluginCatalog } = await import('@podwire/core')
  const configuration = await loadConfiguration(flags)
  const log = stderrLogger(flags.verbose ?? false)
  const catalog = await createPluginCatalog({ configuration, installation: installation(), log })
  const found = [...(await offeredRows(catalog, configuration)), ...rejectedRows(catalog)]
  const rows = outdated ? await withNewest(found, configuration.dir) : found
  if (json) {
    printJson(rows)
    return
  }
  const table = rows.map((row) => [
    row.name,
    `${row.package}@${row.version}`,
    row.state,
    row.capabilities.join(',') || '-',
    row.reason ?? row.path,
  ])
  const heads = ['NAME', 'PACKAGE', 'STATE', 'CAPABILITIES', 'PATH']
  if (outdated) printTable([[...heads, 'NEWEST'], ...table.map((row, at) => [...row, newestOf(rows[at])])])
  else printTable([heads, ...table])
}

/** What stays down does so in the host that saw it crash: a command that starts its plugin itself has nothing to reset. */
async function reset(name: string, flags: GlobalFlags): Promise<void> {
  const wasDown = await withHost(flags, (host) => host.resetPlugin(name), { lenient: true, recover: false })
  print(wasDown ? `${name} runs again` : `${name} is not down: there is nothing to reset`)
}

function newestOf({ version, newest, newestForOthers }: Partial<PluginRow> = {}): string {
  const own = newest === undefined ? 'not in the registry' : newest === version ? 'up to date' : newest
  return newestForOthers === undefined ? own : `${own} (${newestForOthers} is for a newer podwire)`
}

/** What the registry doesn't know stays as it is: it may come from elsewhere. */
async function withNewest(rows: readonly PluginRow[], cwd: string): Promise<PluginRow[]> {
  const { newestUsable } = await import('../registry/check-published.ts')
  const { publishedVersion } = await import('../registry/published.ts')
  const names = [...new Set(rows.map((row) => row.package))].filter((name) => name !== '-')
  const known = new Map(
    await Promise.all(
      names.map(async (name) => {
        try {
          const latest = (await publishedVersion({ name, wanted: '' }, cwd)).version
          const newest = (await newestUsable(name, cwd))?.published.version
          return [name, { latest, newest }] as const
        } catch (error) {
          if (isPodwireError(error) && error.code === 'NO_SUCH_PACKAGE') return [name, {}] as const
          throw error
        }
      }),
    ),
  )
  return rows.map((row) => {
    const { latest, newest }: { latest?: string; newest?: string | undefined } = known.get(row.package) ?? {}
    return {
      ...row,
      ...(newest === undefined ? {} : { newest }),
      ...(latest === undefined || latest === newest ? {} : { newestForOthers: latest }),
    }
  })
}

async function offeredRows(catalog: PluginCatalog, { config }: LoadedConfig): Promise<PluginRow[]> {
  const active = config.networkPlugin
  let imported: ReadonlyMap<NetworkPlugin, PluginPackage> = new Map()
  let failure: string | undefined
  try {
    imported = (await catalog.load(active)).packageOf
  } catch (error) {
    failure = messageOf(error)
  }
  return catalog.discovery.packages.flatMap((found): PluginRow[] => {
    const { packageName, version, dir } = found
    const probed = [...imported].filter(([, from]) => from === found).map(([plugin]) => plugin)
    const stated = found.plugins === 'dynamic' ? [] : found.plugins
    const names = probed.length > 0 ? probed.map((plugin) => plugin.name) : stated
    return (names.length > 0 ? names : [`(${found.key}: what its probe finds)`]).map((name) => ({
      name,
      package: packageName,
      version,
      path: dir,
      capabilities: describeCapabilities(
        probed.find((plugin) => plugin.name === name)?.capabilities() ?? found.capabilities ?? 0,
      ),
      state: name === active ? 'active' : 'available',
      ...(name === active && failure !== undefined ? { state: 'rejected', reason: failure } : {}),
    }))
  })
}

function rejectedRows({ discovery }: PluginCatalog): PluginRow[] {
  return discovery.rejected.map(({ path, packageName, version, plugins: offered, reason }) => ({
    name: offered?.join(', ') ?? '-',
    package: packageName ?? '-',
    version: version ?? '-',
    path,
    capabilities: [],
    state: 'rejected',
    reason: `${path}: ${reason}`,
  }))
}
