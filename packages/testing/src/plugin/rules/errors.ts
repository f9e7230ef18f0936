import { rm, writeFile } from 'node:fs/promises'
import type { Pod } from '@podwire/api'
import { messageOf } from '@podwire/api'
import type { Instance, RuleContext } from '../context.ts'
import { deleteNetns, linksOf, shell } from '../pods.ts'
import type { Rule } from '../rule.ts'
import { broken, notTried } from '../verdict.ts'

export const errorRules: readonly Rule[] = [
  {
    id: 'error-names-pod',
    group: 'errors',
    sentence: 'A setUpPod that fails rejects with an Error whose message says which pod or sandbox.',
    reason: 'In the log of a host with a thousand pods, an error that could be anybody’s helps nobody.',
    async try(context) {
      const instance = await context.start()
      const pod = await context.pod()
      context.step(`ip netns delete (of ${pod.name})`)
      await deleteNetns(pod)
      const outcome = await instance.setUp(pod)
      if (outcome.ok) notTried('the plugin sets pods up without looking at their network namespaces')
      const { error } = outcome
      if (!(error instanceof Error)) broken(`it rejected with ${typeof error}, which is not an Error`)
      const message = messageOf(error)
      const names = [`${pod.namespace}/${pod.name}`, pod.sandboxId]
      if (!names.some((name) => message.includes(name))) broken(`the message names no pod: ${message}`)
    },
  },
  {
    id: 'failed-set-up',
    group: 'errors',
    sentence: 'A setUpPod that fails leaves nothing, on the host and in the sandbox.',
    reason: 'What was half done belongs to no pod, and nobody takes it away.',
    async try(context) {
      const instance = await context.start()
      await context.warmUp(instance)
      const ways: [string, (pod: Pod) => Promise<unknown>][] = [
        ['whose network namespace is gone', deleteNetns],
        ['whose network namespace is a file', (pod) => deleteNetns(pod).then(() => writeFile(pod.netns, ''))],
        [
          'whose eth0 is there already',
          (pod) => shell.sh(`ip -n ${pod.sandboxId} link add eth0 type veth peer name eth0-peer`),
        ],
      ]
      let failed = 0
      for (const [how, spoil] of ways) if (!(await succeeds(context, instance, how, spoil))) failed++
      if (failed === 0) notTried('nothing made it fail')
    },
  },
]

/** A set-up that should fail; where it does, it must have left nothing. */
async function succeeds(
  context: RuleContext,
  instance: Instance,
  how: string,
  spoil: (pod: Pod) => Promise<unknown>,
): Promise<boolean> {
  const pod = await context.pod()
  context.step(`a pod ${how}`)
  await spoil(pod)
  const isThere = await linksOf(pod).then(
    () => true,
    () => false,
  )
  const seen = isThere ? [pod] : []
  const before = await context.state(...seen)
  const outcome = await instance.setUp(pod)
  if (outcome.ok) await instance.tearDown(pod)
  else await context.mustBe(before, ...seen)
  await rm(pod.netns, { force: true }).catch(() => {})
  return outcome.ok
}
