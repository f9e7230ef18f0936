import { deleteNetns } from '../pods.ts'
import type { Rule } from '../rule.ts'
import { mustResolve, setUpAfterWarmUp } from './pods.ts'

export const garbageRules: readonly Rule[] = [
  {
    id: 'garbage-freed',
    group: 'garbage',
    sentence: 'collectGarbage frees what belongs to sandboxes that are not in its list.',
    reason: 'It is what finds the pods that a host lost with its records.',
    needs: 'gc',
    async try(context) {
      const instance = await context.start()
      await context.warmUp(instance)
      const before = await context.state()
      const pod = await context.pod()
      await instance.mustSetUp(pod)
      context.step(`ip netns delete (of ${pod.name})`)
      await deleteNetns(pod)
      mustResolve(
        await instance.call('collectGarbage([])', (signal) => instance.plugin.collectGarbage?.([], signal)),
      )
      await context.mustBe(before)
    },
  },
  {
    id: 'garbage-kept',
    group: 'garbage',
    sentence: 'collectGarbage leaves the sandboxes in its list as they are.',
    reason: 'They are in use.',
    needs: 'gc',
    async try(context) {
      const { instance, pod } = await setUpAfterWarmUp(context)
      const before = await context.state(pod)
      const collect = (signal: AbortSignal) => instance.plugin.collectGarbage?.([pod.sandboxId], signal)
      mustResolve(await instance.call(`collectGarbage([the sandbox of ${pod.name}])`, collect))
      await context.mustBe(before, pod)
    },
  },
]
