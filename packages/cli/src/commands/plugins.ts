import { describeCapabilities, messageOf, type NetworkPlugin } from '@podwire/api'
import type { LoadedConfig, PluginCatalog, PluginPackage } from '@podwire/core'
import { command, type DefineCommand } from '../command.ts'
import { installation, loadConfiguration } from '../configuration.ts'
import type { GlobalFlags, JsonFlag } from '../flags.ts'
import { stderrLogger } from '../logger.ts'
import { printJson, printTable } from '../output.ts'

const define: DefineCommand = (does) =>
  command(
    'plugins',
    'list every plugin package found, and what is wrong with those rejected',
    'podwire plugins',
  )
    .option('--json', 'print JSON')
    .action(does(plugins))
export default define

interface PluginRow {
  readonly name: string
  readonly package: string
  readonly version: string
  readonly path: string
  readonly capabilities: readonly string[]
  readonly state: 'active' | 'available' | 'rejected'
  readonly reason?: string
}

/** Of all that is found, only what offers the configured plugin is imported. */
async function plugins({ json = false, ...flags }: GlobalFlags & JsonFlag): Promise<void> {
  const { createPluginCatalog } = await import('@podwire/core')
  const configuration = await loadConfiguration(flags)
  const log = stderrLogger(flags.verbose ?? false)
  const catalog = await createPluginCatalog({ configuration, installation: installation(), log })
  const rows = [...(await offeredRows(catalog, configuration)), ...rejectedRows(catalog)]
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
  printTable([['NAME', 'PACKAGE', 'STATE', 'CAPABILITIES', 'PATH'], ...table])
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
