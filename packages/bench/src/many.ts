import { mkdtempSync, rmSync } from 'node:fs'
import { type Figure, figure, median, timed } from './figure.ts'
import { type Datapath, podOf, setUpAndTearDown, startHost, warmUps } from './kubenet-host.ts'
import { settled } from './pods.ts'

/** What a pod takes by how many there are already, by each data path: a bridge has 1,023 ports. */
export async function many(): Promise<Figure[]> {
  const routed = await manyBy('routed', 4000)
  const bridge = await manyBy('bridge', 1000)
  const around = (ups: readonly number[], count: number) => median(ups.slice(count - 100, count))
  const row = (name: string, ours: number, reference: number, goal: string): Figure =>
    figure({ bench: 'many', row: name, unit: 'ms', ours, reference, goal })
  const p50 = (datapath: Datapath, ups: readonly number[], count: number, goal: string) =>
    row(
      `host.setUpPod, ${datapath}, p50 of the 100 pods up to ${count}; of the first 100`,
      around(ups, count),
      around(ups, 100),
      goal,
    )
  return [
    p50('routed', routed.ups, 1000, '≤ 1.3'),
    p50('routed', routed.ups, 4000, '≤ 2'),
    p50('bridge', bridge.ups, 1000, '–'),
    row('tearDownPod of 1,000 together, for each, routed; by the bridge', routed.down, bridge.down, '≤ 1'),
  ]
}

async function manyBy(datapath: Datapath, count: number): Promise<{ ups: number[]; down: number }> {
  const dir = mkdtempSync('/run/podwire-bench-')
  const host = await startHost(dir, datapath)
  const ups: number[] = []
  try {
    for (let pod = 0; pod < warmUps; pod++) await setUpAndTearDown(host, [`warm-${pod}`])
    await settled()
    for (let pod = 0; pod < count; pod++) ups.push(await timed(() => host.setUpPod(podOf(`many-${pod}`))))
    await settled()
    // The others before, so that as many are there.
    const pods = (await host.pods()).map(({ pod }) => pod)
    await Promise.all(pods.slice(1000).map((pod) => host.tearDownPod(pod)))
    await settled()
    const down = await timed(() => Promise.all(pods.slice(0, 1000).map((pod) => host.tearDownPod(pod))))
    return { ups, down: down / 1000 }
  } finally {
    await Promise.all((await host.pods()).map(({ pod }) => host.tearDownPod(pod)))
    await host.close()
    rmSync(dir, { recursive: true, force: true })
  }
}
