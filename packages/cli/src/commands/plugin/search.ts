import type { Command } from 'commander'
import { command, type Does } from '../../command.ts'
import type { GlobalFlags, JsonFlag } from '../../flags.ts'
import { print, printJson, printTable } from '../../output.ts'
import { searchPublished } from '../../registry/published.ts'

export function searchCommand(does: Does): Command {
  return command('search', 'look for plugin packages in the registry', 'podwire plugin search vlan')
    .argument('[words...]')
    .option('--json', 'print JSON')
    .action(does(search))
}

async function search(words: string[], { json = false }: GlobalFlags & JsonFlag): Promise<void> {
  const found = await searchPublished(words, process.cwd())
  const rows = found.map(({ name, version, description = '' }) => ({ name, version, description }))
  if (json) printJson(rows)
  else if (rows.length === 0) print('no plugin package found')
  else printTable([['PACKAGE', 'VERSION', 'DESCRIPTION'], ...rows.map((row) => Object.values(row))])
}
