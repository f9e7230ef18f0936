import { DEFAULT_PLUGIN_NAME, describeCapabilities, messageOf, type NetworkPlugin } from '@podwire/api'
import { createPluginCatalog, type LoadedConfig, type PluginCatalog, type PluginPackage } from '@podwire/core'
import { loadConfiguration } from '../configuration.ts'
import type { GlobalFlags } from '../flags.ts'
import { stderrLogger } from '../stderr-logger.ts'
import { formatTable } from '../table.ts'

interface PluginRow {
  readonly name: string
  readonly package: string
  readonly version: string
  readonly path: string
  readonly capabilities: readonly string[]
  readonly state: 'active' | 'available' | 'rejected'
  readonly reason?: string
}

/** `podwire plugins`: of all that is found, only what offers the configured plugin is imported. */
export async function plugins(flags: GlobalFlags, { json = false }: { json?: boolean }): Promise<void> {
  const loaded = await loadConfiguration(flags)
  const catalog = await createPluginCatalog(loaded, stderrLogger(flags.verbose ?? false))
  const rows = [...(await offeredRows(catalog, loaded)), ...rejectedRows(catalog)]
  if (json) {
    console.log(JSON.stringify(rows))
    return
  }
  const table = rows.map((row) => [
    row.name,
    `${row.package}@${row.version}`,
    row.state,
    row.capabilities.join(',') || '-',
    row.reason ?? row.path,
  ])
  console.log(formatTable([['NAME', 'PACKAGE', 'STATE', 'CAPABILITIES', 'PATH'], ...table]))
}

async function offeredRows(catalog: PluginCatalog, { config }: LoadedConfig): Promise<PluginRow[]> {
  const active = config.networkPlugin || DEFAULT_PLUGIN_NAME
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
