import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Figure, figure, interleaved, median } from './figure.ts'

const built = new URL('../../cli/dist/main.js', import.meta.url).href

/** The built command line beside a Node that does nothing. */
export async function startup(): Promise<Figure[]> {
  const dir = mkdtempSync(join(tmpdir(), 'podwire-bench-'))
  writeFileSync(join(dir, 'podwire.config.json'), JSON.stringify({ stateDir: './state' }))
  const entry = join(dir, 'podwire.mjs')
  writeFileSync(
    entry,
    `import { main } from ${JSON.stringify(built)}\nprocess.exitCode = await main(process.argv)\n`,
  )
  const node = (...args: string[]) => {
    const { status, stderr } = spawnSync(process.execPath, args, { cwd: dir, encoding: 'utf8' })
    if (status !== 0) throw new Error(`node ${args.join(' ')}: ${stderr}`)
  }
  try {
    const rows: Figure[] = []
    for (const [args, goal] of [
      [['--version'], '≤ 1.3'],
      [['status'], '≤ 2'],
    ] as const) {
      const samples = await interleaved(
        25,
        () => node(entry, ...args),
        () => node('-e', '0'),
      )
      rows.push(
        figure({
          bench: 'startup',
          row: `podwire ${args.join(' ')}; node -e 0`,
          unit: 'ms',
          ours: median(samples.ours),
          reference: median(samples.reference),
          goal,
        }),
      )
    }
    return rows
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}
