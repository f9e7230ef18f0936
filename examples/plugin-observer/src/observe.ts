import { appendFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Host, messageOf, type NetworkPlugin, type PodRef, podKey } from '@podwire/api'

/** One call of the wrapped plugin: a line of `calls.jsonl`. */
export interface ObservedCall {
  readonly at: string
  readonly call: string
  readonly pod?: string
  readonly ms: number
  readonly failed?: string
}

/** The same plugin under our name. Its calls are written to `calls.jsonl` in `stateDir`, and reported to the host's listeners. */
export function observe(plugin: NetworkPlugin, stateDir: string): NetworkPlugin {
  let host: Host | undefined

  async function record<T>(call: string, pod: PodRef | undefined, work: () => Promise<T>): Promise<T> {
    const start = performance.now()
    const about = { at: new Date().toISOString(), call, ...(pod ? { pod: podKey(pod) } : {}) }
    try {
      const result = await work()
      await write({ ...about, ms: performance.now() - start })
      return result
    } catch (error) {
      await write({ ...about, ms: performance.now() - start, failed: messageOf(error) })
      throw error
    }
  }

  async function write(observed: ObservedCall): Promise<void> {
    host?.report('observed', { ...observed, plugin: plugin.name })
    // What can't be recorded must not keep a pod from its network.
    await mkdir(stateDir, { recursive: true })
      .then(() => appendFile(join(stateDir, 'calls.jsonl'), `${JSON.stringify(observed)}\n`))
      .catch(() => {})
  }

  const { checkPod, collectGarbage, close } = plugin
  return {
    name: 'example.com/observer',
    async init(given, options) {
      host = given
      await record('init', undefined, () => plugin.init(given, options))
    },
    event: (name, details) => record(`event ${name}`, undefined, async () => plugin.event(name, details)),
    capabilities: () => plugin.capabilities(),
    setUpPod: (pod, signal) => record('setUpPod', pod, () => plugin.setUpPod(pod, signal)),
    tearDownPod: (pod, signal) => record('tearDownPod', pod, () => plugin.tearDownPod(pod, signal)),
    getPodNetworkStatus: (pod, signal) =>
      record('getPodNetworkStatus', pod, () => plugin.getPodNetworkStatus(pod, signal)),
    status: () => record('status', undefined, () => plugin.status()),
    // Only what the other one has: a host goes by what is there.
    ...(checkPod
      ? { checkPod: (pod, signal) => record('checkPod', pod, () => checkPod.call(plugin, pod, signal)) }
      : {}),
    ...(collectGarbage
      ? {
          collectGarbage: (ids, signal) =>
            record('collectGarbage', undefined, () => collectGarbage.call(plugin, ids, signal)),
        }
      : {}),
    ...(close ? { close: () => record('close', undefined, () => close.call(plugin)) } : {}),
  }
}
