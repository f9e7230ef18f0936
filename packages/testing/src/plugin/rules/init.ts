import { describeOutcome, settle } from '../call.ts'
import type { Rule } from '../rule.ts'
import { startPlugin } from '../subject.ts'
import { broken } from '../verdict.ts'

export const initRules: readonly Rule[] = [
  {
    id: 'init',
    group: 'init',
    sentence: 'init() and the pod CIDR are accepted, once, and then status() resolves.',
    reason: 'It is how a host starts: a plugin that isn’t ready then, says why and sets nothing up.',
    async try(context) {
      const plugin = await context.fresh()
      context.step('init(), then the pod CIDR')
      const outcome = await settle('init', context.target, () => startPlugin(plugin, context.target))
      if (!outcome.ok) broken(describeOutcome(outcome))
      context.step('status()')
      const status = await settle('status', context.target, () => plugin.status())
      await plugin.close?.()
      if (!status.ok) broken(`status ${describeOutcome(status)}`)
    },
  },
  {
    id: 'init-side-by-side',
    group: 'init',
    sentence: 'Two plugins of the package, both initialised, work side by side in one process.',
    reason: 'A host that finds pods of an earlier configuration starts a second one to tear them down.',
    async try(context) {
      const [first, second] = [await context.start(), await context.start()]
      await context.warmUp(first)
      const pod = await context.pod()
      const before = await context.state(pod)
      await first.mustSetUp(pod)
      context.step('the second plugin’s:')
      const down = await second.tearDown(pod)
      if (!down.ok) broken(`the second can’t tear down what the first has set up: ${describeOutcome(down)}`)
      await context.mustBe(before, pod)
    },
  },
]
