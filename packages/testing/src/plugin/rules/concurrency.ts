import type { Rule } from '../rule.ts'
import { broken } from '../verdict.ts'
import { mustResolve } from './pods.ts'

const count = 5

export const concurrencyRules: readonly Rule[] = [
  {
    id: 'concurrent-set-ups',
    group: 'concurrency',
    sentence: 'Pods that are set up at once all get a network, and an address of their own.',
    reason: 'A host runs one operation at a time for a pod, and those of different pods at once.',
    async try(context) {
      const instance = await context.start()
      const pods = await Promise.all(Array.from({ length: count }, () => context.pod()))
      const outcomes = await Promise.all(pods.map((pod) => instance.setUp(pod)))
      const ips = outcomes.map((outcome) => mustResolve(outcome)?.ip).filter((ip) => ip !== undefined)
      const twice = ips.filter((ip, index) => ips.indexOf(ip) !== index)
      if (twice.length > 0) broken(`two pods got ${twice.join(', ')}`)
    },
  },
  {
    id: 'concurrent-tear-downs',
    group: 'concurrency',
    sentence: 'Pods that are set up and torn down at once, others beside them, leave nothing.',
    reason: 'Most leaks happen where one pod’s end meets another’s beginning.',
    async try(context) {
      const instance = await context.start()
      await context.warmUp(instance)
      const pods = await Promise.all(Array.from({ length: count }, () => context.pod()))
      const before = await context.state(...pods)
      const [first, ...others] = pods as [(typeof pods)[0], ...typeof pods] // `count` is more than one.
      await instance.mustSetUp(first)
      const down = instance.tearDown(first)
      for (const outcome of await Promise.all(others.map((pod) => instance.setUp(pod)))) mustResolve(outcome)
      mustResolve(await down)
      for (const outcome of await Promise.all(pods.map((pod) => instance.tearDown(pod)))) mustResolve(outcome)
      await context.mustBe(before, ...pods)
    },
  },
]
