import { createNetworkHost, type NetworkHost } from '@podwire/core'
import { timed } from './figure.ts'

/** How often a host does the same before it is measured: it lives long, and what it does first is not compiled yet. */
export const warmUps = 300

/** Milliseconds of each pod. */
export interface Samples {
  readonly up: number[]
  readonly down: number[]
}

export const datapaths = ['routed', 'bridge'] as const
export type Datapath = (typeof datapaths)[number]

export const podOf = (name: string) => ({ namespace: 'bench', name })

/** A host with kubenet by this data path. */
export const startHost = (
  dir: string,
  datapath: Datapath,
  podCIDR = '10.123.0.0/16',
  more: object = {},
): Promise<NetworkHost> =>
  createNetworkHost({
    config: {
      networkPlugin: 'kubenet',
      podCIDR,
      plugins: { kubenet: { datapath, ...more } },
      discovery: { packages: [new URL('../../../plugins/kubenet', import.meta.url).pathname] },
    },
    stateDir: `${dir}/state`,
  })

/** One after the other: all up, then all down. */
export async function setUpAndTearDown(host: NetworkHost, names: readonly string[]): Promise<Samples> {
  const samples: Samples = { up: [], down: [] }
  for (const name of names) samples.up.push(await timed(() => host.setUpPod(podOf(name))))
  for (const name of names) samples.down.push(await timed(() => host.tearDownPod(podOf(name))))
  return samples
}
