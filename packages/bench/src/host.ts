import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createNetworkHost } from '@podwire/core'
import { type Figure, figure, interleaved, median, timed } from './figure.ts'

const pods = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ namespace: 'bench', name: `pod-${i}` }))

/**
 * What the host itself takes of a set-up and a tear-down: a plugin that does nothing, state kept, a namespace adopted.
 * The reference is writing and removing one file as often as the host does.
 */
export async function host(): Promise<Figure[]> {
  const dir = await mkdtemp('/run/podwire-bench-')
  execFileSync('ip', ['netns', 'add', 'podwire-bench'])
  const netns = '/run/netns/podwire-bench'
  const made = await createNetworkHost({ config: { networkPlugin: '' }, stateDir: join(dir, 'state') })
  const upAndDown = async (pod: { namespace: string; name: string }) => {
    await made.setUpPod({ ...pod, netns })
    await made.tearDownPod(pod)
  }
  try {
    const scratch = join(dir, 'scratch')
    await mkdir(scratch)
    const files = async () => {
      for (let i = 0; i < 4; i++) await writeFile(join(scratch, 'record'), '{}')
      await rm(join(scratch, 'record'))
    }
    const [pod] = pods(1)
    const samples = await interleaved(500, () => upAndDown(pod ?? { namespace: 'bench', name: 'pod' }), files)
    const together = await timed(() => Promise.all(pods(64).map(upAndDown)))
    const left = await made.pods()
    if (left.length > 0) throw new Error(`${left.length} pods were lost`)
    return [
      figure({
        bench: 'host',
        row: 'set-up + tear-down, p50; four writes and a removal',
        unit: 'ms',
        ours: median(samples.ours),
        reference: median(samples.reference),
        goal: 'ours ≤ 0.5 ms',
      }),
      figure({
        bench: 'host',
        row: 'each of 64 at once; one alone',
        unit: 'ms',
        ours: together / 64,
        reference: median(samples.ours),
        goal: 'none lost',
      }),
    ]
  } finally {
    await made.close()
    execFileSync('ip', ['netns', 'delete', 'podwire-bench'])
    await rm(dir, { recursive: true, force: true })
  }
}
