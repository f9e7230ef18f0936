import { describeCapabilities } from '@podwire/api'
import type { Command } from 'commander'
import { command, type Does } from '../../command.ts'
import type { GlobalFlags, JsonFlag } from '../../flags.ts'
import { print, printJson } from '../../output.ts'
import { manifestOf, newestUsable } from '../../registry/check-published.ts'
import { parsePackageSpec, publishedVersion } from '../../registry/published.ts'

export function infoCommand(does: Does): Command {
  return command(
    'info',
    'show what the registry knows of a plugin package, and whether this podwire can use it',
    'podwire plugin info acme.io/mysdn',
  )
    .argument('<name>', 'of the plugin or of its package, with @VERSION or without')
    .option('--json', 'print JSON')
    .action(does(info))
}

/** Exits with 1 when this podwire can't use the package. */
async function info(name: string, { json = false }: GlobalFlags & JsonFlag): Promise<number> {
  const spec = parsePackageSpec(name)
  const published = await publishedVersion(spec, process.cwd())
  const manifest = await manifestOf(published)
  const problem = typeof manifest === 'string' ? manifest : undefined
  const newest = problem === undefined ? undefined : await newestUsable(spec.name, process.cwd())
  const found = {
    name: published.name,
    version: published.version,
    description: published.description ?? '',
    plugins: typeof manifest === 'string' ? [] : manifest.plugins,
    capabilities: typeof manifest === 'string' ? [] : describeCapabilities(manifest.capabilities ?? 0),
    tags: published['dist-tags'] ?? {},
    usable: problem === undefined,
    ...(problem === undefined ? {} : { problem }),
    ...(newest ? { usableVersion: newest.published.version } : {}),
    ...(published.deprecated ? { deprecated: published.deprecated } : {}),
  }
  if (json) printJson(found)
  else for (const [key, value] of Object.entries(found)) print(`${key.padEnd(14)} ${describe(value)}`)
  return problem === undefined ? 0 : 1
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return value.join(', ') || '-'
  if (typeof value !== 'object' || value === null) return String(value)
  return Object.entries(value)
    .map(([key, one]) => `${key} ${one}`)
    .join(', ')
}
