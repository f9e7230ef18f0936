import { objects } from '../../kernel-state/json.ts'
import { describeCall } from '../testbed/call.ts'
import type { Attachment } from '../testbed/sandbox.ts'
import type { RuleContext } from './context.ts'
import { mustSettle } from './del.ts'
import type { Rule } from './rule.ts'
import { broken, notTried } from './verdict.ts'

/** So many containers at once. */
const containers = 4

export const concurrencyRules: readonly Rule[] = [
  {
    id: 'cni-concurrent-add',
    group: 'concurrency',
    severity: 'must',
    sentence: `ADD of ${containers} containers at the same time succeeds for all.`,
    reason: 'A node that starts up adds all its pods at once.',
    section: 'lifecycle',
    async try(context) {
      await context.warmUp()
      const attachments = await attachmentsOf(context)
      const runs = await Promise.all(attachments.map((attachment) => context.add(attachment)))
      const failures = runs.flatMap(({ failed }) => failed ?? [])
      if (failures[0])
        broken(`${failures.length} of ${containers} fail: ${describeCall(failures[0])}`, ...failures)
    },
  },
  {
    id: 'cni-concurrent-addresses',
    group: 'concurrency',
    severity: 'must',
    sentence: 'Containers that are added at the same time get different addresses.',
    reason: 'Two that read the list of free addresses before either writes it take the same one.',
    section: 'lifecycle',
    roles: ['interface', 'ipam'],
    async try(context) {
      if (context.plugin.sameAddresses) notTried('the configuration names the addresses')
      await context.warmUp()
      const attachments = await addAll(context)
      const addresses = attachments.flatMap(({ result }) =>
        objects(result?.['ips']).map(({ address }) => address),
      )
      if (addresses.length === 0) notTried('the results have no addresses')
      const twice = addresses.filter((address, index) => addresses.indexOf(address) !== index)
      if (twice.length > 0) broken(`given out more than once: ${twice.join(', ')}`)
    },
  },
  {
    id: 'cni-concurrent-del',
    group: 'concurrency',
    severity: 'must',
    sentence: `DEL of ${containers} containers at the same time succeeds for all.`,
    reason: 'A node that is drained removes all its pods at once.',
    section: 'lifecycle',
    async try(context) {
      await context.warmUp()
      const attachments = await addAll(context)
      const runs = await Promise.all(attachments.map((attachment) => context.del(attachment)))
      const failures = runs.flatMap(({ failed }) => failed ?? [])
      if (failures[0])
        broken(`${failures.length} of ${containers} fail: ${describeCall(failures[0])}`, ...failures)
    },
  },
  {
    id: 'cni-concurrent-clean',
    group: 'concurrency',
    severity: 'should',
    sentence: 'After ADD and DEL of several containers at the same time nothing is left on the host.',
    reason: 'Locks that are missing lose the record of what has to be removed.',
    section: 'lifecycle',
    async try(context) {
      await context.warmUp()
      const before = await context.state()
      const attachments = await attachmentsOf(context)
      await Promise.all(attachments.map((attachment) => context.add(attachment)))
      const runs = await Promise.all(attachments.map((attachment) => context.del(attachment)))
      // The interfaces that the kit made for a chained plugin stay as long as their sandboxes.
      const { testbed } = context
      await testbed.sh(attachments.map(({ name }) => `ip netns delete ${name}`).join('\n'))
      await mustSettle(
        context,
        before,
        runs.flatMap(({ calls }) => calls),
      )
    },
  },
]

async function attachmentsOf(context: RuleContext): Promise<Attachment[]> {
  const attachments: Attachment[] = []
  for (let made = 0; made < containers; made++) attachments.push(await context.attachment())
  return attachments
}

async function addAll(context: RuleContext): Promise<Attachment[]> {
  const attachments = await attachmentsOf(context)
  const runs = await Promise.all(attachments.map((attachment) => context.add(attachment)))
  const failed = runs.find((run) => run.failed)?.failed
  if (failed) notTried(`ADD of several at once doesn't work: ${describeCall(failed)}`)
  return attachments
}
