import { NET_PLUGIN_EVENT_POD_CIDR_CHANGE } from '@podwire/api'
import type { Rule } from '../rule.ts'
import { podCidrDetails } from '../subject.ts'
import { mustResolve, setUpAfterWarmUp } from './pods.ts'

export const eventRules: readonly Rule[] = [
  {
    id: 'event-unknown',
    group: 'events',
    sentence: 'An event that the plugin doesn’t know is ignored.',
    reason: 'Hosts of later versions send events that this one has never heard of.',
    async try(context) {
      const { instance, pod } = await setUpAfterWarmUp(context)
      const before = await context.state(pod)
      mustResolve(await instance.event('podwire-test-unknown', { some: 'detail' }))
      await context.mustBe(before, pod)
    },
  },
  {
    id: 'event-pod-cidr-again',
    group: 'events',
    sentence: 'The same pod CIDR, told again, changes nothing for the pods that run.',
    reason: 'A host tells it at every start.',
    async try(context) {
      const { instance, pod } = await setUpAfterWarmUp(context)
      const before = await context.state(pod)
      const details = podCidrDetails(instance.plugin, context.target)
      mustResolve(await instance.event(NET_PLUGIN_EVENT_POD_CIDR_CHANGE, details))
      await context.mustBe(before, pod)
    },
  },
]
