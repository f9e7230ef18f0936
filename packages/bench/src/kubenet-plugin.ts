import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Pod } from '@podwire/api'
import kubenetModule from '@podwire/plugin-kubenet'
import { fakeHost, recordingLogger } from '@podwire/testing'
import type { BenchPod, Times } from './go-reference.ts'
import { runAll } from './pods.ts'

/** The plugin, started, with what this benchmark asks of it. */
export interface Kubenet {
  setUp(pods: readonly BenchPod[], concurrency: number): Promise<Times>
  /** All at once. */
  tearDown(pods: readonly BenchPod[]): Promise<Times>
  /** For how long the event loop was blocked at most while pods were set up or torn down, in milliseconds. */
  longestBlock(): number
  close(): Promise<void>
}

/** @param dir for its state */
export async function startKubenet(dir: string): Promise<Kubenet> {
  const host = fakeHost()
  const [plugin] = await kubenetModule.probe({
    // The schema fills every option in.
    options: await defaultOptions(),
    configDir: undefined,
    stateDir: `${dir}/kubenet`,
    log: recordingLogger(),
  })
  if (!plugin) throw new Error('kubenet offers no plugin')
  await plugin.init(host, { hairpinMode: 'hairpin-veth', nonMasqueradeCIDR: '10.0.0.0/8', mtu: 0 })
  await plugin.event('pod-cidr-change', { 'pod-cidr': '10.121.0.0/16' })

  let longest = 0

  // Only meanwhile, as what this benchmark does besides is none of the plugin's.
  async function watched(work: () => Promise<Times>): Promise<Times> {
    const delay = monitorEventLoopDelay({ resolution: 1 })
    delay.enable()
    const times = await work()
    await sleep(5)
    delay.disable()
    longest = Math.max(longest, delay.max / 1e6)
    return times
  }

  return {
    setUp(pods, concurrency) {
      for (const { id, netns } of pods) host.sandboxes.set(id, netns)
      return watched(() => runAll(pods, concurrency, (pod) => plugin.setUpPod(podOf(pod), neverAborted())))
    },
    tearDown: (pods) =>
      watched(() => runAll(pods, pods.length, (pod) => plugin.tearDownPod(podOf(pod), neverAborted()))),
    longestBlock: () => longest,
    close: async () => plugin.close?.(),
  }
}

const podOf = ({ id, netns, asks }: BenchPod): Pod => ({
  namespace: 'bench',
  name: id,
  sandboxId: id,
  netns,
  annotations: {},
  portMappings: [],
  ...asks,
})

const neverAborted = () => new AbortController().signal

async function defaultOptions() {
  const result = await kubenetModule.options?.['~standard'].validate({})
  if (!result || result.issues) throw new Error('kubenet has no default options')
  return result.value
}
