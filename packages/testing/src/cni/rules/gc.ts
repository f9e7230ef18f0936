import { compareStates, describeDifference } from '../../kernel-state/state.ts'
import { type Attachment, deleteSandbox } from '../testbed/sandbox.ts'
import type { RuleContext } from './context.ts'
import { mustBeQuiet, mustSettle, mustSucceed } from './del.ts'
import type { Rule } from './rule.ts'
import { broken, notTried } from './verdict.ts'

export const gcRules: readonly Rule[] = [
  {
    id: 'cni-gc',
    group: 'gc',
    severity: 'must',
    sentence: 'GC succeeds with no variables but CNI_COMMAND and CNI_PATH, with and without attachments.',
    reason: 'It is about a network, not a container.',
    section: 'gc',
    since: '1.1.0',
    async try(context) {
      mustSucceed(await collect(context, []), 'GC without attachments')
      const attachment = await context.attachment()
      await context.mustAdd(attachment)
      mustSucceed(await collect(context, [attachment]), 'GC')
    },
  },
  {
    id: 'cni-gc-quiet',
    group: 'gc',
    severity: 'must',
    sentence: 'GC that succeeds prints nothing on stdout.',
    reason: 'There is no result of GC.',
    section: 'gc',
    since: '1.1.0',
    async try(context) {
      mustBeQuiet(await collect(context, []))
    },
  },
  {
    id: 'cni-gc-keeps-valid',
    group: 'gc',
    severity: 'must',
    sentence: 'GC leaves the attachments of the list as they are.',
    reason: 'A wrong comparison cuts off every container of the node.',
    section: 'gc',
    since: '1.1.0',
    async try(context) {
      const attachment = await context.attachment()
      await context.mustAdd(attachment)
      const before = await context.state(attachment)
      const { calls } = await collect(context, [attachment])
      const { gone } = compareStates(before, await context.state(attachment))
      if (gone.length > 0) broken(describeDifference({ added: [], gone }), ...calls)
    },
  },
  {
    id: 'cni-gc-removes-stale',
    group: 'gc',
    severity: 'should',
    sentence:
      'GC removes what is left of attachments that are not in the list, when their sandboxes are gone.',
    reason: 'It is the last chance to get addresses and rules back after a crash of the runtime.',
    section: 'gc',
    since: '1.1.0',
    async try(context) {
      await context.warmUp()
      const stays = await context.attachment()
      await context.mustAdd(stays)
      const before = await context.state()
      const stale = await context.attachment()
      await context.mustAdd(stale)
      await deleteSandbox(context.testbed, stale)
      const { calls } = await collect(context, [stays])
      await mustSettle(context, before, calls)
    },
  },
]

async function collect(context: RuleContext, valid: readonly Attachment[]) {
  if (context.subject.disableGc) notTried('the configuration has disableGC')
  const attachments = valid.map(({ containerId, ifName }) => ({ containerID: containerId, ifname: ifName }))
  return context.forAll('GC', { config: { 'cni.dev/valid-attachments': attachments } })
}
