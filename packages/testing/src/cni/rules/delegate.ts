import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isObject, tryParse } from '../../kernel-state/json.ts'
import { findProgram } from '../subject/subject.ts'
import type { RuleContext } from './context.ts'
import { notTried } from './verdict.ts'

/** A call that the address plugin got from the plugin under test. */
interface DelegatedCall {
  readonly command: string
  readonly env: Readonly<Record<string, string>>
  readonly config: unknown
}

/** A listener in front of the network's address plugin. */
export interface Delegate {
  /** Leads to it: for CNI_PATH. */
  readonly path: string
  readonly type: string
  /** From now on it refuses this command, and carries out the others. */
  fail(command: string): Promise<void>
  /** What it was called with, in order. */
  calls(): Promise<DelegatedCall[]>
}

/** Its error when it is told to fail. */
const delegateError = 'the address plugin of the test refuses'

/** Puts a listener in front of the address plugin for as long as `use` runs. Gives up where the network has none. */
export async function withDelegate(
  { subject, version }: RuleContext,
  use: (delegate: Delegate) => Promise<void>,
): Promise<void> {
  const { ipam } = subject.plugins[0].config(0)
  const type = isObject(ipam) ? ipam['type'] : undefined
  if (subject.role === 'ipam' || typeof type !== 'string' || type === '')
    return notTried('the configuration names no address plugin')
  const real = await findProgram(type, subject.cniPath)
  if (real === undefined) return notTried(`there is no address plugin ${type}`)
  const directory = await mkdtemp(join(tmpdir(), 'cni-test-'))
  try {
    const [bin, log, failing] = ['bin', 'log', 'failing'].map((name) => join(directory, name)) as [
      string,
      string,
      string,
    ]
    await Promise.all([mkdir(bin), mkdir(log)])
    await writeFile(join(bin, type), listener({ real, log, failing, version }), { mode: 0o755 })
    await use({
      path: [bin, ...subject.cniPath].join(':'),
      type,
      fail: (command) => writeFile(failing, command),
      calls: () => readCalls(log),
    })
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

type Paths = {
  readonly real: string
  readonly log: string
  readonly failing: string
  readonly version: string
}

// A shell script, so that the plugin under test finds it as it finds any plugin. Each call is a file for the environment
// and one for the configuration, numbered.
const listener = ({ real, log, failing, version }: Paths) => `#!/bin/sh
input=$(cat)
n=$(ls '${log}' | wc -l)
while ! (set -C; env > '${log}'/$(printf %04d $n).env) 2>/dev/null; do n=$((n + 1)); done
printf %s "$input" > '${log}'/$(printf %04d $n).json
if [ -e '${failing}' ] && [ "$(cat '${failing}')" = "$CNI_COMMAND" ]; then
  echo '{"cniVersion": "${version}", "code": 100, "msg": "${delegateError}"}'
  exit 1
fi
printf %s "$input" | '${real}'
`

async function readCalls(log: string): Promise<DelegatedCall[]> {
  const names = (await readdir(log)).filter((name) => name.endsWith('.env')).sort()
  return Promise.all(
    names.map(async (name) => {
      const lines = (await readFile(join(log, name), 'utf8')).split('\n')
      const env = Object.fromEntries(lines.map((line) => line.split(/=(.*)/s, 2) as [string, string]))
      const text = await readFile(join(log, name.replace('.env', '.json')), 'utf8').catch(() => '')
      return { command: env['CNI_COMMAND'] ?? '', env, config: tryParse(text) }
    }),
  )
}
