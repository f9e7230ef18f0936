// The program of a plugin in a process of its own: see plugin-process.ts.
import type { NetworkPlugin, Pod } from '@podwire/api'
import type { FakeHost } from '../fake-host.ts'
import type { Target } from './messages.ts'
import type { ProcessAnswer, ProcessCall, ProcessOrder } from './plugin-process.ts'
import {
  chooseTarget,
  describeThrown,
  importTarget,
  moduleProblem,
  probeTarget,
  startPlugin,
} from './subject.ts'

let started: { plugin: NetworkPlugin; host: FakeHost } | undefined

process.on('message', async (order: ProcessOrder) => {
  const answer = await ('target' in order
    ? start(order.target, order.pods)
    : call(order.method, order.pod)
  ).catch((error: unknown): ProcessAnswer => ({ ok: false, message: describeThrown(error) }))
  process.send?.(answer)
})
process.on('disconnect', () => process.exit())

async function start(target: Target, pods: readonly Pod[]): Promise<ProcessAnswer> {
  const exports = await importTarget(target)
  const problem = moduleProblem(exports)
  if (problem !== undefined) throw new Error(problem)
  // Each property that is used was looked at above.
  const plugins = await probeTarget(exports as Parameters<typeof probeTarget>[0], target)
  started = await startPlugin(chooseTarget(plugins, target), target)
  for (const pod of pods) know(pod)
  return { ok: true }
}

async function call(method: ProcessCall, pod: Pod): Promise<ProcessAnswer> {
  if (!started) throw new Error('not started')
  if (method === 'setUpPod') know(pod)
  const { namespace, name, sandboxId } = pod
  const ref = { namespace, name, sandboxId }
  const { plugin } = started
  const signal = new AbortController().signal
  if (method === 'tearDownPod') {
    await plugin.tearDownPod(ref, signal)
    return { ok: true }
  }
  const value =
    method === 'setUpPod' ? await plugin.setUpPod(pod, signal) : await plugin.getPodNetworkStatus(ref, signal)
  return value ? { ok: true, value } : { ok: true }
}

function know(pod: Pod): void {
  started?.host.pods.push(pod)
  started?.host.sandboxes.set(pod.sandboxId, pod.netns)
}
