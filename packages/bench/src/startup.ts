import { spawnSync } from 'node:child_process'
import { type Figure, figure, median, timed } from './figure.ts'
import { installedPodwire } from './installed.ts'

const rounds = 31

/** A round of them leaves nothing behind. */
const commands = [
  { args: ['--version'], goal: '≤ 1.3' },
  { args: ['status'], goal: '≤ 1.8' },
  { args: ['up', 'bench/pod'], goal: '≤ 1.8' },
  { args: ['down', 'bench/pod'], goal: '≤ 1.8' },
  { args: ['run', '--', 'true'], goal: '≤ 2' },
].map((command) => ({ ...command, ours: [] as number[], reference: [] as number[] }))

/** The command line as it is installed, without a configuration and so with kubenet; beside a Node that does nothing. */
export async function startup(): Promise<Figure[]> {
  const { dir, podwire } = installedPodwire()
  const node = (...args: string[]) => {
    const { status, stderr } = spawnSync(process.execPath, args, { cwd: dir, encoding: 'utf8' })
    if (status !== 0) throw new Error(`node ${args.join(' ')}: ${stderr}`)
  }
  for (let round = 0; round <= rounds; round++) {
    for (const { args, ours, reference } of commands) {
      const [mine, theirs] = [await timed(() => node(podwire, ...args)), await timed(() => node('-e', '0'))]
      // The first round warms caches up.
      if (round === 0) continue
      ours.push(mine)
      reference.push(theirs)
    }
  }
  return commands.map(({ args, goal, ours, reference }) =>
    figure({
      bench: 'startup',
      row: `podwire ${args.join(' ')}; node -e 0`,
      unit: 'ms',
      ours: median(ours),
      reference: median(reference),
      goal,
    }),
  )
}
