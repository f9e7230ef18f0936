import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import { cluster } from './cluster/cluster.ts'
import { cni } from './cni.ts'
import { daemon } from './daemon.ts'
import { discovery } from './discovery.ts'
import { dns } from './dns.ts'
import type { Figure } from './figure.ts'
import { host } from './host.ts'
import { isolation } from './isolation.ts'
import { kubenet } from './kubenet.ts'
import { many } from './many.ts'
import { memory } from './memory.ts'
import { pod } from './pod.ts'
import { policyBench } from './policy.ts'
import { policyTraffic } from './policy-traffic.ts'
import { runtime } from './runtime.ts'
import { shim } from './shim.ts'
import { spawn } from './spawn.ts'
import { startup } from './startup.ts'
import { tcp } from './tcp.ts'

const benches: Readonly<Record<string, () => Promise<Figure[]>>> = {
  discovery,
  startup,
  host,
  isolation,
  daemon,
  pod,
  many,
  tcp,
  dns,
  policy: async () => [...(await policyBench()), ...(await policyTraffic())],
  shim,
  runtime,
  cluster,
  cni,
  kubenet,
  memory,
  spawn,
}

const { values, positionals } = parseArgs({ options: { json: { type: 'boolean' } }, allowPositionals: true })
const unknown = positionals.filter((name) => !(name in benches))
if (unknown.length > 0) {
  console.error(`bench: there is no ${unknown.join(', ')}; there is ${Object.keys(benches).join(', ')}`)
  process.exit(2)
}

const chosen = positionals.length > 0 ? positionals : Object.keys(benches)
const figures = chosen.length === 1 ? await runHere(chosen[0] ?? '') : chosen.flatMap(runApart)
if (values.json) console.log(JSON.stringify(figures))
else console.log(formatTable(figures))

async function runHere(name: string): Promise<Figure[]> {
  console.error(`bench: ${name} …`)
  return (await benches[name]?.()) ?? []
}

/** In a process of its own, so that no bench measures what another one left in memory. */
function runApart(name: string): Figure[] {
  const [script = ''] = process.argv.slice(1)
  const args = [...process.execArgv, script, name, '--json']
  const { status, stdout } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (status !== 0) process.exit(1)
  // It is this program that wrote it.
  return JSON.parse(stdout) as Figure[]
}

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
