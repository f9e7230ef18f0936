import { parseArgs } from 'node:util'
import { cni } from './cni.ts'
import { discovery } from './discovery.ts'
import type { Figure } from './figure.ts'
import { host } from './host.ts'
import { kubenet } from './kubenet.ts'
import { startup } from './startup.ts'

const benches: Readonly<Record<string, () => Promise<Figure[]>>> = {
  discovery,
  startup,
  host,
  cni,
  kubenet,
}

const { values, positionals } = parseArgs({ options: { json: { type: 'boolean' } }, allowPositionals: true })
const unknown = positionals.filter((name) => !(name in benches))
if (unknown.length > 0) {
  console.error(`bench: there is no ${unknown.join(', ')}; there is ${Object.keys(benches).join(', ')}`)
  process.exit(2)
}

const figures: Figure[] = []
for (const [name, bench] of Object.entries(benches)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue
  console.error(`bench: ${name} …`)
  figures.push(...(await bench()))
}
if (values.json) console.log(JSON.stringify(figures))
else console.log(formatTable(figures))

function formatTable(rows: readonly Figure[]): string {
  const cells = rows.map(({ bench, row, unit, ours, reference, ratio, goal }) => [
    bench,
    row,
    `${ours.toPrecision(3)} ${unit}`,
    `${reference.toPrecision(3)} ${unit}`,
    ratio.toFixed(2),
    goal,
  ])
  const table = [['BENCH', 'WHAT; BESIDE WHAT', 'OURS', 'REFERENCE', 'RATIO', 'GOAL'], ...cells]
  const widths =
    table[0]?.map((_, column) => Math.max(...table.map((line) => line[column]?.length ?? 0))) ?? []
  return table
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
