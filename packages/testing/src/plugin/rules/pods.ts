import type { Pod } from '@podwire/api'
import { compareStates, describeDifference } from '../../kernel-state/state.ts'
import { describeOutcome, type Outcome } from '../call.ts'
import type { RuleContext } from '../context.ts'
import { deleteNetns } from '../pods.ts'
import type { Rule } from '../rule.ts'
import { broken } from '../verdict.ts'

export const podRules: readonly Rule[] = [
  {
    id: 'set-up',
    group: 'pods',
    sentence: 'setUpPod gives a pod its network.',
    reason: 'It is what the plugin is for.',
    async try(context) {
      const instance = await context.start()
      mustResolve(await instance.setUp(await context.pod()))
    },
  },
  {
    id: 'set-up-twice',
    group: 'pods',
    sentence: 'A second setUpPod of the same pod succeeds, returns the same, and changes nothing.',
    reason: 'A host that was killed between the call and its record asks again.',
    async try(context) {
      const instance = await context.start()
      const pod = await context.pod()
      const first = await instance.mustSetUp(pod)
      const before = await context.state(pod)
      const second = mustResolve(await instance.setUp(pod))
      if (JSON.stringify(second) !== JSON.stringify(first))
        broken(`it returned ${JSON.stringify(second)}, and ${JSON.stringify(first)} before`)
      await context.mustBe(before, pod)
    },
  },
  {
    id: 'tear-down',
    group: 'pods',
    sentence:
      'tearDownPod takes away all that setUpPod did, on the host and in the sandbox. What is needed once may stay.',
    reason: 'A host sets up millions of pods in its life: what each leaves behind is what it dies of.',
    async try(context) {
      const { instance, pod, before } = await setUpAfterWarmUp(context)
      mustResolve(await instance.tearDown(pod))
      await context.mustBe(before, pod)
    },
  },
  {
    id: 'tear-down-twice',
    group: 'pods',
    sentence: 'A second tearDownPod succeeds and changes nothing.',
    reason:
      'A host that was killed after the first one has to ask again; one that never succeeds keeps the pod for ever.',
    async try(context) {
      const { instance, pod, before } = await setUpAfterWarmUp(context)
      await instance.mustTearDown(pod)
      mustResolve(await instance.tearDown(pod))
      await context.mustBe(before, pod)
    },
  },
  {
    id: 'tear-down-first',
    group: 'pods',
    sentence: 'tearDownPod of a pod that was never set up succeeds and changes nothing.',
    reason: 'A host writes down what it is about to do; after a crash it undoes that, begun or not.',
    async try(context) {
      const instance = await context.start()
      await context.warmUp(instance)
      const pod = await context.pod()
      const before = await context.state(pod)
      mustResolve(await instance.tearDown(pod))
      await context.mustBe(before, pod)
    },
  },
  {
    id: 'tear-down-without-netns',
    group: 'pods',
    sentence:
      'tearDownPod succeeds after the sandbox’s network namespace is gone, and leaves nothing on the host.',
    reason:
      'A sandbox that crashed takes its namespace with it: addresses and ports must come free all the same.',
    async try(context) {
      const instance = await context.start()
      await context.warmUp(instance)
      const before = await context.state()
      const pod = await context.pod()
      await instance.mustSetUp(pod)
      context.step(`ip netns delete (of ${pod.name})`)
      await deleteNetns(pod)
      mustResolve(await instance.tearDown(pod))
      await context.mustBe(before)
    },
  },
  {
    id: 'set-up-after-tear-down',
    group: 'pods',
    sentence: 'A pod that was torn down can be set up again.',
    reason: 'A host that changes its plugin’s options does just that with every pod.',
    async try(context) {
      const { instance, pod, before } = await setUpAfterWarmUp(context)
      await instance.mustTearDown(pod)
      mustResolve(await instance.setUp(pod))
      await instance.mustTearDown(pod)
      await context.mustBe(before, pod)
    },
  },
  {
    id: 'tear-down-other',
    group: 'pods',
    sentence: 'Tearing one pod down leaves the others as they are.',
    reason: 'Who cleans up more than the pod in question cuts its neighbours off.',
    async try(context) {
      const { instance, pod: stays } = await setUpAfterWarmUp(context)
      const before = await context.state(stays)
      const goes = await context.pod()
      await instance.mustSetUp(goes)
      await instance.mustTearDown(goes)
      const { gone } = compareStates(before, await context.state(stays))
      if (gone.length > 0) broken(describeDifference({ added: [], gone }))
    },
  },
  {
    id: 'close-keeps-pods',
    group: 'pods',
    sentence: 'close() leaves the networks of pods as they are.',
    reason: 'A host is restarted while its pods run.',
    async try(context) {
      const { instance, pod } = await setUpAfterWarmUp(context)
      const before = await context.state(pod)
      await instance.close()
      await context.mustBe(before, pod)
      await (await context.start()).mustTearDown(pod)
    },
  },
]

/** What the call returned; breaks the rule where it rejected. */
export function mustResolve<Value>(outcome: Outcome<Value>): Value {
  return outcome.ok ? outcome.value : broken(describeOutcome(outcome))
}

/** A pod that is set up, and the state before it was. */
export async function setUpAfterWarmUp(context: RuleContext, change: (pod: Pod) => Pod = (pod) => pod) {
  const instance = await context.start()
  await context.warmUp(instance)
  const pod = change(await context.pod())
  const before = await context.state(pod)
  const status = await instance.mustSetUp(pod)
  return { instance, pod, before, status }
}
