import { mkdtempSync, rmSync } from 'node:fs'
import type { Policy } from '@podwire/api'
import type { NetworkHost } from '@podwire/core'
import { type Figure, figure, quantile, timed } from './figure.ts'
import { podOf, startHost, warmUps } from './kubenet-host.ts'
import { settled } from './pods.ts'

const blocks = 8
const podsInBlock = 40

/** 20 names and 50 networks, as somebody's sandboxes would have: all of them the same. */
export const namesAndNetworks = [
  ...Array.from({ length: 20 }, (_, n) => ({ host: `host-${n}.example.org`, ports: [443] })),
  ...Array.from({ length: 50 }, (_, n) => ({ cidr: `10.${n}.0.0/24`, ports: [5432] })),
]

const policy: Policy = { egress: { default: 'deny', allow: namesAndNetworks } }

/** What a policy adds to what a user waits for: host.setUpPod with kubenet, everything included, one at a time. */
export async function policyBench(): Promise<Figure[]> {
  const dir = mkdtempSync('/run/podwire-bench-')
  // Nobody is asked anything.
  const host = await startHost(dir, 'routed', '10.125.0.0/16', { nameServers: ['192.0.2.53'] })
  try {
    await upAndDown(host, 'warm', warmUps / 2, policy)
    await upAndDown(host, 'warm', warmUps / 2)
    const withPolicy: number[] = []
    const without: number[] = []
    for (let block = 0; block < blocks; block++) {
      without.push(...(await upAndDown(host, `without-${block}`, podsInBlock)))
      await settled()
      withPolicy.push(...(await upAndDown(host, `with-${block}`, podsInBlock, policy)))
      await settled()
    }
    const added = quantile(withPolicy, 0.5) - quantile(without, 0.5)
    return [
      figure({
        bench: 'policy',
        row: 'a policy of 20 names and 50 networks adds to host.setUpPod with kubenet, p50; the goal',
        unit: 'ms',
        ours: added,
        reference: 0.3,
        goal: '≤ 1',
      }),
    ]
  } finally {
    await host.close()
    rmSync(dir, { recursive: true, force: true })
  }
}

async function upAndDown(host: NetworkHost, prefix: string, count: number, own?: Policy): Promise<number[]> {
  const names = Array.from({ length: count }, (_, pod) => `${prefix}-${pod}`)
  const up: number[] = []
  for (const name of names)
    up.push(await timed(() => host.setUpPod({ ...podOf(name), ...(own ? { policy: own } : {}) })))
  for (const name of names) await host.tearDownPod(podOf(name))
  return up
}
