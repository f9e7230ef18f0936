import type { Instance, RuleContext } from '../context.ts'
import type { Rule } from '../rule.ts'
import { mustResolve, setUpAfterWarmUp } from './pods.ts'

export const abortRules: readonly Rule[] = [
  {
    id: 'abort-before',
    group: 'abort',
    sentence: 'setUpPod with a signal that has aborted ends, and where it rejects has done nothing.',
    reason: 'The caller may have given up while the pod waited for its turn.',
    async try(context) {
      const instance = await context.start()
      await context.warmUp(instance)
      await abortAfter(context, instance, 0)
    },
  },
  {
    id: 'abort-set-up',
    group: 'abort',
    sentence:
      'setUpPod ends within the grace time after its signal aborts, and where it rejects has left nothing.',
    reason: 'At the deadline the host gives the pod up: nobody will tear down what goes on behind its back.',
    async try(context) {
      const instance = await context.start()
      await context.warmUp(instance)
      const whole = await context.pod()
      const { milliseconds } = await instance.setUp(whole)
      await instance.mustTearDown(whole)
      // At the beginning, in the middle, near the end.
      for (const part of [0.1, 0.5, 0.9])
        await abortAfter(context, instance, Math.max(1, milliseconds * part))
    },
  },
  {
    id: 'abort-tear-down',
    group: 'abort',
    sentence:
      'tearDownPod ends within the grace time after its signal aborts, and the next one takes away what is left.',
    reason: 'A tear-down that ran out of time is tried again until it succeeds.',
    async try(context) {
      const { instance, pod, before } = await setUpAfterWarmUp(context)
      for (const signal of [AbortSignal.abort(new Error('aborted by the test')), AbortSignal.timeout(5)]) {
        await instance.mustSetUp(pod)
        context.step('abort the next call’s signal')
        await instance.tearDown(pod, signal)
        mustResolve(await instance.tearDown(pod))
        await context.mustBe(before, pod)
      }
    },
  },
]

async function abortAfter(context: RuleContext, instance: Instance, milliseconds: number): Promise<void> {
  const pod = await context.pod()
  const before = await context.state(pod)
  const after = Math.round(milliseconds)
  context.step(`abort the next call's signal after ${after} ms`)
  const signal =
    after === 0 ? AbortSignal.abort(new Error('aborted by the test')) : AbortSignal.timeout(after)
  const outcome = await instance.setUp(pod, signal)
  // It may have been faster than the signal, or see no need of one.
  if (outcome.ok) await instance.mustTearDown(pod)
  await context.mustBe(before, pod)
}
