import { execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { promisify } from 'node:util'
import type { NetworkHost, SandboxRecord } from '@podwire/core'
import { withNetns } from '@podwire/netlink'
import { type Figure, figure, median } from './figure.ts'
import { podOf, startHost } from './kubenet-host.ts'

const rounds = 5
const seconds = 2

/** One TCP stream between two pods, routed; the same by a bridge. */
export async function tcp(): Promise<Figure[]> {
  if (spawnSync('iperf3', ['--version']).status !== 0) {
    console.error('bench: tcp is skipped; it needs: apt-get install iperf3')
    return []
  }
  const dir = mkdtempSync('/run/podwire-bench-')
  const routed = await startHost(`${dir}/routed`, 'routed')
  const bridge = await startHost(`${dir}/bridge`, 'bridge', '10.124.0.0/16')
  try {
    const [ours, reference] = [await twoPods(routed, 'routed'), await twoPods(bridge, 'bridge')]
    const rates = { ours: [] as number[], reference: [] as number[] }
    for (let round = 0; round < rounds; round++) {
      rates.reference.push(await stream(reference))
      rates.ours.push(await stream(ours))
    }
    return [
      figure({
        bench: 'tcp',
        row: 'one TCP stream between two pods, routed; by the bridge',
        unit: 'Gbit/s',
        ours: median(rates.ours),
        reference: median(rates.reference),
        goal: '≥ 0.98',
      }),
    ]
  } finally {
    for (const host of [routed, bridge]) {
      for (const { pod } of await host.pods()) await host.tearDownPod(pod)
      await host.close()
    }
    rmSync(dir, { recursive: true, force: true })
  }
}

type Pair = readonly [SandboxRecord, SandboxRecord]

const twoPods = async (host: NetworkHost, name: string): Promise<Pair> => [
  await host.setUpPod(podOf(`${name}-server`)),
  await host.setUpPod(podOf(`${name}-client`)),
]

/** Gbit in a second, as the receiver counts them. */
export async function stream([server, client]: Pair): Promise<number> {
  const address = server.status?.ip
  if (!address) throw new Error('the server has no address')
  return streamTo(address, server.pod.netns, client.pod.netns)
}

/** The same between two network namespaces. @param address of the server @param from where the client is */
export async function streamTo(address: string, netns: string, from: string): Promise<number> {
  const serving = withNetns(netns, () => spawn('iperf3', ['-s', '-1', '--forceflush']))
  const served = once(serving, 'close')
  // It prints once it listens.
  await once(serving.stdout, 'data')
  serving.stdout.resume()
  const args = ['-c', address, '-t', String(seconds), '-J']
  const asking = withNetns(from, () => ({ done: promisify(execFile)('iperf3', args) }))
  const { stdout } = await asking.done
  await served
  const report: { end: { sum_received: { bits_per_second: number } } } = JSON.parse(stdout)
  return report.end.sum_received.bits_per_second / 1e9
}
