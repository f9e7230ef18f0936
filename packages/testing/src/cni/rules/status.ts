import { describeCall } from '../testbed/call.ts'
import { mustBeQuiet, mustSucceed } from './del.ts'
import type { Rule } from './rule.ts'
import { broken, notTried } from './verdict.ts'

export const statusRules: readonly Rule[] = [
  {
    id: 'cni-status',
    group: 'status',
    severity: 'must',
    sentence: 'STATUS succeeds where ADD would, with no variables but CNI_COMMAND and CNI_PATH.',
    reason: 'A node counts as not ready, and gets no pods, as long as it fails.',
    section: 'status',
    since: '1.1.0',
    async try(context) {
      const status = await context.forAll('STATUS')
      await context.mustAdd(await context.attachment())
      mustSucceed(status, 'STATUS')
    },
  },
  {
    id: 'cni-status-quiet',
    group: 'status',
    severity: 'should',
    sentence: 'STATUS that succeeds prints nothing on stdout.',
    reason: 'An exit code is the whole answer; what is printed is an error.',
    section: 'status',
    since: '1.1.0',
    async try({ forAll }) {
      mustBeQuiet(await forAll('STATUS'))
    },
  },
  {
    id: 'cni-status-unneeded',
    group: 'status',
    severity: 'must',
    sentence: 'ADD and DEL work where STATUS was never asked.',
    reason: 'Runtimes need not ask.',
    section: 'status',
    since: '1.1.0',
    async try(context) {
      const attachment = await context.attachment()
      const { failed } = await context.add(attachment)
      if (!failed) return
      await context.forAll('STATUS')
      const again = await context.add(await context.attachment())
      if (again.failed) notTried(`ADD doesn't work: ${describeCall(again.failed)}`)
      broken(`ADD fails before STATUS and succeeds after it: ${describeCall(failed)}`, failed)
    },
  },
]
