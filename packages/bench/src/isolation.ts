import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createNetworkHost } from '@podwire/core'
import { type Figure, figure, interleaved, median, timed } from './figure.ts'

const pod = {
  namespace: 'bench',
  name: 'pod',
  sandboxId: 'bench-pod',
  netns: '/run/netns/bench-pod',
  annotations: {},
  portMappings: [],
}

/** What it costs to have a plugin in a process of its own: a call of one that does nothing, and the start of the process. */
export async function isolation(): Promise<Figure[]> {
  const dir = await mkdtemp('/run/podwire-bench-')
  const start = (mode: 'none' | 'process') =>
    createNetworkHost({ config: { networkPlugin: '', isolation: mode }, stateDir: join(dir, mode) })
  const startAndEnd = async (mode: 'none' | 'process') => (await start(mode)).close()
  const [apart, within] = [await start('process'), await start('none')]
  try {
    const [there, here] = [(await apart.plugin()).manager, (await within.plugin()).manager]
    const calls = await interleaved(
      5000,
      () => there.setUpPod(pod),
      () => here.setUpPod(pod),
    )
    const together = await timed(() => Promise.all(Array.from({ length: 5000 }, () => there.setUpPod(pod))))
    const starts = await interleaved(
      10,
      () => startAndEnd('process'),
      () => startAndEnd('none'),
    )
    return [
      figure({
        bench: 'isolation',
        row: "a call of a plugin in a process of its own, p50; in the host's",
        unit: 'ms',
        ours: median(calls.ours),
        reference: median(calls.reference),
        goal: 'ours ≤ reference + 0.5 ms',
      }),
      figure({
        bench: 'isolation',
        row: 'each of 5,000 calls at once; one alone',
        unit: 'ms',
        ours: together / 5000,
        reference: median(calls.ours),
        goal: 'none lost',
      }),
      figure({
        bench: 'isolation',
        row: "start and end of a host, its plugin in a process of its own, p50; in the host's",
        unit: 'ms',
        ours: median(starts.ours),
        reference: median(starts.reference),
        goal: 'told',
      }),
    ]
  } finally {
    await apart.close()
    await within.close()
    await rm(dir, { recursive: true, force: true })
  }
}
