import { linksOf, shell } from '../pods.ts'
import type { Rule } from '../rule.ts'
import { broken, notTried } from '../verdict.ts'
import { mustResolve, setUpAfterWarmUp } from './pods.ts'

export const checkRules: readonly Rule[] = [
  {
    id: 'check-same',
    group: 'check',
    sentence: 'checkPod resolves for a pod that is as it was set up, and changes nothing.',
    reason: 'A host mends what a check says is broken; a false alarm cuts the pod off.',
    needs: 'check',
    async try(context) {
      const { instance, pod } = await setUpAfterWarmUp(context)
      const before = await context.state(pod)
      mustResolve(await instance.call('checkPod', (signal) => instance.plugin.checkPod?.(pod, signal)))
      await context.mustBe(before, pod)
    },
  },
  {
    id: 'check-differs',
    group: 'check',
    sentence: 'checkPod rejects when the pod’s link is gone.',
    reason: 'A check that finds nothing keeps a pod without network for as long as it lives.',
    needs: 'check',
    async try(context) {
      const { instance, pod } = await setUpAfterWarmUp(context)
      const [link] = (await linksOf(pod)).names
      if (link === undefined) notTried('the plugin makes no link in the sandbox')
      context.step(`ip link delete ${link} (in the sandbox)`)
      await shell.sh(`ip -n ${pod.sandboxId} link delete ${link}`)
      const outcome = await instance.call('checkPod', (signal) => instance.plugin.checkPod?.(pod, signal))
      if (outcome.ok) broken('it resolved')
    },
  },
]
