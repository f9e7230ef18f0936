import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { formatShimSettings, readShim, shimPath, shimSettingsPath } from '@podwire/shim'
import { missingForC } from './c-reference.ts'
import { type Figure, figure, median } from './figure.ts'

const rounds = 500

/** What the CNI shim adds to what the daemon takes: from its start to its exit, beside the least that a program can take. */
export async function shim(): Promise<Figure[]> {
  const missing = missingForC()
  if (missing !== undefined) {
    console.error(`bench: the shim is left out: ${missing}`)
    return []
  }
  const dir = mkdtempSync('/run/podwire-bench-')
  const at = (name: string) => join(dir, name)
  const compile = (...args: string[]) => {
    const { status, stderr } = spawnSync('gcc', ['-O2', ...args], {
      encoding: 'utf8',
      input: 'int main(void) { return 0; }',
    })
    if (status !== 0) throw new Error(`gcc ${args.join(' ')}: ${stderr}`)
  }
  try {
    const installed = shimPath()
    writeFileSync(at('shim'), await readShim(installed), { mode: 0o755 })
    writeFileSync(shimSettingsPath(at('shim')), formatShimSettings({ socket: at('socket') }), { mode: 0o644 })
    writeFileSync(
      at('stdin'),
      '{"cniVersion":"1.0.0","name":"pods","type":"podwire","runtimeConfig":{"portMappings":[]}}',
    )
    compile('-o', at('starts'), new URL('../c/starts.c', import.meta.url).pathname)
    compile('-x', 'c', '-o', at('nothing'), '-')
    const args = [String(rounds + 1), at('socket'), at('stdin'), at('shim'), at('nothing')]
    const { status, stdout } = spawnSync(at('starts'), args, { encoding: 'utf8' })
    if (status !== 0) throw new Error(`the starts ended with ${status}`)
    // The first warms up.
    const pairs = stdout
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => line.split(' ').map((ns) => Number(ns) / 1e6))
    return [
      figure({
        bench: 'shim',
        row: `CNI shim (${installed.kind}), start to exit, p50; a C program that does nothing`,
        unit: 'ms',
        ours: median(pairs.map(([ours = 0]) => ours)),
        reference: median(pairs.map(([, reference = 0]) => reference)),
        goal: '≤ 1.5',
      }),
    ]
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}
