import { isIP } from 'node:net'
import { describeValue, type PodNetworkStatus } from '@podwire/api'
import { isObject } from '../../kernel-state/json.ts'
import { linksOf } from '../pods.ts'
import type { Rule } from '../rule.ts'
import { broken, notTried } from '../verdict.ts'
import { mustResolve, setUpAfterWarmUp } from './pods.ts'

export const statusRules: readonly Rule[] = [
  {
    id: 'status-before',
    group: 'status',
    sentence: 'getPodNetworkStatus of a pod that was not set up returns no address.',
    reason: 'Whoever is told an address sends traffic there.',
    async try(context) {
      const instance = await context.start()
      const outcome = await instance.status(await context.pod())
      if (outcome.ok && outcome.value) broken(`it returned ${describeValue(outcome.value)}`)
    },
  },
  {
    id: 'status-shape',
    group: 'status',
    sentence:
      'What setUpPod and getPodNetworkStatus return is undefined, or a status with addresses that are some.',
    reason: 'A host checks it, and refuses the pod where it isn’t.',
    async try(context) {
      const { instance, pod, status } = await setUpAfterWarmUp(context)
      assertStatus('setUpPod', status)
      assertStatus('getPodNetworkStatus', mustResolve(await instance.status(pod)))
    },
  },
  {
    id: 'status-true',
    group: 'status',
    sentence: 'The addresses of the status are those that the pod has.',
    reason: 'The address is what others reach the pod by.',
    async try(context) {
      const { instance, pod, status } = await setUpAfterWarmUp(context)
      const later = mustResolve(await instance.status(pod))
      if (!status && !later) notTried('the plugin returns no status: the host looks for itself')
      const { addresses } = await linksOf(pod)
      for (const [method, said] of [
        ['setUpPod', status],
        ['getPodNetworkStatus', later],
      ] as const) {
        const claimed = said ? [said.ip, ...(said.ips ?? [])] : []
        const wrong = claimed.filter((ip) => !addresses.includes(ip))
        if (wrong.length > 0)
          broken(`${method} says ${wrong.join(', ')}, and the pod has ${addresses.join(', ')}`)
      }
      if (status && later && status.ip !== later.ip)
        broken(`setUpPod says ${status.ip}, getPodNetworkStatus ${later.ip}`)
    },
  },
  {
    id: 'status-after',
    group: 'status',
    sentence: 'getPodNetworkStatus of a pod that was torn down returns no address.',
    reason: 'The next pod may have it by then.',
    async try(context) {
      const { instance, pod } = await setUpAfterWarmUp(context)
      await instance.mustTearDown(pod)
      const outcome = await instance.status(pod)
      if (outcome.ok && outcome.value) broken(`it returned ${describeValue(outcome.value)}`)
    },
  },
]

function assertStatus(method: string, status: PodNetworkStatus | undefined): void {
  if (status === undefined) return
  if (!isObject(status)) broken(`${method} returned ${describeValue(status)}`)
  const { ip, ips = [ip], interfaces = [], kind = 'PodNetworkStatus', apiVersion = 'v1beta1' } = status
  if (kind !== 'PodNetworkStatus' || apiVersion !== 'v1beta1')
    broken(`${method} returned kind ${describeValue(kind)}, apiVersion ${describeValue(apiVersion)}`)
  if (!Array.isArray(ips) || !Array.isArray(interfaces)) broken(`${method} returned ${describeValue(status)}`)
  const all = [ip, ...ips, ...interfaces.flatMap((one) => one.ips)]
  const wrong = all.filter((one) => typeof one !== 'string' || isIP(one) === 0)
  if (wrong.length > 0)
    broken(
      `${method} returned ${describeValue(wrong[0])}, which is not an IP address (without prefix length)`,
    )
}
