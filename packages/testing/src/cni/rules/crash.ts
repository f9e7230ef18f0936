import type { State } from '../../kernel-state/state.ts'
import { describeCall, type PluginCall } from '../testbed/call.ts'
import { type Attachment, deleteSandbox } from '../testbed/sandbox.ts'
import type { RuleContext } from './context.ts'
import { mustSettle } from './del.ts'
import type { Rule } from './rule.ts'
import { broken, notTried } from './verdict.ts'

/** ADD is killed after these parts of the time that it takes. */
const moments = [0.95, 0.75, 0.55, 0.35, 0.15]

export const crashRules: readonly Rule[] = [
  {
    id: 'cni-killed-del',
    group: 'crash',
    severity: 'must',
    sentence: 'DEL succeeds after ADD was killed, whenever that was.',
    reason: 'Plugins are killed: by the deadline of the runtime, for want of memory, at shutdown.',
    section: 'lifecycle',
    async try(context) {
      await killed(context, async (calls, attachment) => {
        const { failed } = await context.del(attachment, { config: { prevResult: attachment.given } })
        if (failed) broken(`DEL fails: ${describeCall(failed)}`, ...calls, failed)
      })
    },
  },
  {
    id: 'cni-killed-clean',
    group: 'crash',
    severity: 'should',
    sentence: 'After ADD was killed, DEL and the end of the sandbox leave nothing on the host.',
    reason: 'What was made and not yet written down is found again by nobody.',
    section: 'del',
    async try(context) {
      await context.warmUp()
      await killed(context, async (calls, attachment, before) => {
        const { calls: undone } = await context.del(attachment, { config: { prevResult: attachment.given } })
        await deleteSandbox(context.testbed, attachment)
        await mustSettle(context, before, [...calls, ...undone])
      })
    },
  },
  {
    id: 'cni-killed-add-again',
    group: 'crash',
    severity: 'must',
    sentence: 'After ADD was killed, ADD of another container succeeds.',
    reason: 'A lock that outlives its holder stops the whole node.',
    section: 'lifecycle',
    async try(context) {
      await killed(context, async (calls) => {
        const { failed } = await context.add(await context.attachment())
        if (failed) broken(`the next ADD fails: ${describeCall(failed)}`, ...calls, failed)
      })
    },
  },
]

// The list's first plugin that is running then is killed; those behind it never start.
async function killed(
  context: RuleContext,
  then: (calls: readonly PluginCall[], attachment: Attachment, before: State) => Promise<void>,
): Promise<void> {
  const whole = await context.attachment()
  const { calls, failed } = await context.add(whole)
  if (failed) notTried(`ADD doesn't work: ${describeCall(failed)}`)
  await context.mustDel(whole)
  let duration = calls[0]?.milliseconds ?? 0
  let count = 0
  for (const moment of moments) {
    const before = await context.state()
    const attachment = await context.attachment()
    const run = await context.add(attachment, { killAfter: Math.ceil(duration * moment) })
    if (run.failed?.exitCode === null) count++
    // The first one may have been slow: what a call takes is known better now.
    else duration = Math.min(duration, run.calls[0]?.milliseconds ?? duration)
    attachment.result = undefined
    await then(run.calls, attachment, before)
  }
  if (count === 0) notTried('ADD was over each time before it could be killed')
}
