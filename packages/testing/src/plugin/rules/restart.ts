import { describeOutcome } from '../call.ts'
import type { RuleContext } from '../context.ts'
import type { Rule } from '../rule.ts'
import { broken, notTried } from '../verdict.ts'
import { mustResolve } from './pods.ts'

export const restartRules: readonly Rule[] = [
  {
    id: 'restart-set-up',
    group: 'restart',
    sentence:
      'A pod that a killed process has set up, set up again by a new one, keeps its address and its network.',
    reason: 'A host that starts sets up again what it was about to, and the pods run meanwhile.',
    async try(context) {
      const { pod, status } = await setUpAndKill(context)
      const before = await context.state(pod)
      const next = await context.startProcess([pod])
      const again = mustResolve(await next.call('setUpPod', pod))
      if (again?.ip !== status?.ip) broken(`the address changed from ${status?.ip} to ${again?.ip}`)
      await context.mustBe(before, pod)
      mustResolve(await next.call('tearDownPod', pod))
    },
  },
  {
    id: 'restart-tear-down',
    group: 'restart',
    sentence: 'A new process tears down what a killed one has set up, and leaves nothing.',
    reason: 'What only the dead process knew stays for ever: addresses run out, ports lead nowhere.',
    async try(context) {
      const { pod, before } = await setUpAndKill(context)
      const next = await context.startProcess([pod])
      mustResolve(await next.call('tearDownPod', pod))
      await context.mustBe(before, pod)
    },
  },
]

async function setUpAndKill(context: RuleContext) {
  const first = await context.startProcess([])
  const warm = await context.pod()
  for (const method of ['setUpPod', 'tearDownPod'] as const) {
    const outcome = await first.call(method, warm)
    if (!outcome.ok) notTried(`${method} ${describeOutcome(outcome)}`)
  }
  const pod = await context.pod()
  const before = await context.state(pod)
  const outcome = await first.call('setUpPod', pod)
  if (!outcome.ok) notTried(`setUpPod ${describeOutcome(outcome)}`)
  await first.kill()
  return { pod, before, status: outcome.value }
}
