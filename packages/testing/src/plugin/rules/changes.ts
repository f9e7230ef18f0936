import { bandwidthOf, INGRESS_BANDWIDTH_ANNOTATION, type Pod } from '@podwire/api'
import { compareStates, isSame } from '../../kernel-state/state.ts'
import { anonymous, type RuleContext } from '../context.ts'
import type { Rule } from '../rule.ts'
import { broken } from '../verdict.ts'
import { mustResolve, setUpAfterWarmUp } from './pods.ts'

export const changeRules: readonly Rule[] = [
  {
    id: 'change-unknown',
    group: 'changes',
    sentence: 'A changed annotation that the plugin doesn’t know changes nothing.',
    reason: 'Annotations are everybody’s: most are for others.',
    async try(context) {
      const { instance, pod } = await setUpAfterWarmUp(context)
      const before = await context.state(pod)
      mustResolve(await instance.setUp(annotated(pod, 'podwire.test/unknown', 'changed')))
      await context.mustBe(before, pod)
    },
  },
  {
    id: 'change-bandwidth',
    group: 'changes',
    sentence: 'A bandwidth annotation on a running pod is applied, and its removal too; the address stays.',
    reason: 'A host passes a change by setUpPod, and believes it done when that succeeds.',
    needs: 'shaping',
    try: (context) =>
      mustApply(context, 'limit', (pod) => annotated(pod, INGRESS_BANDWIDTH_ANNOTATION, '10M')),
  },
  {
    id: 'change-ports',
    group: 'changes',
    sentence: 'A port that a running pod publishes is applied, and its removal too; the address stays.',
    reason: 'A host passes a change by setUpPod, and believes it done when that succeeds.',
    needs: 'portMappings',
    try: (context) =>
      mustApply(context, 'port', (pod) => ({
        ...pod,
        portMappings: [...pod.portMappings, { hostPort: 28_080, containerPort: 80, protocol: 'tcp' }],
      })),
  },
]

async function mustApply(context: RuleContext, what: string, change: (pod: Pod) => Pod): Promise<void> {
  const { instance, pod, status } = await setUpAfterWarmUp(context)
  // What shaping or publishing needs once is there after the first time.
  mustResolve(await instance.setUp(change(pod)))
  mustResolve(await instance.setUp(pod))
  const without = await context.state(pod)
  const changed = mustResolve(await instance.setUp(change(pod)))
  const withIt = anonymous(await context.state(pod))
  if (isSame(compareStates(anonymous(without), withIt))) broken(`the ${what} is nowhere in the kernel`)
  if (changed?.ip !== status?.ip) broken(`the address changed from ${status?.ip} to ${changed?.ip}`)
  mustResolve(await instance.setUp(pod))
  await context.mustBeLike(without, pod)
}

function annotated(pod: Pod, key: string, value: string): Pod {
  const annotations = { ...pod.annotations, [key]: value }
  const bandwidth = bandwidthOf(annotations)
  return { ...pod, annotations, ...(Object.keys(bandwidth).length > 0 ? { bandwidth } : {}) }
}
