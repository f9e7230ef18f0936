import { compareStates, describeDifference, isSame } from '../../kernel-state/state.ts'
import { describeCall } from '../testbed/call.ts'
import { hasLink, linkNames } from '../testbed/kernel.ts'
import { mustBeRefused } from './refusal.ts'
import type { Rule } from './rule.ts'
import { broken, notTried } from './verdict.ts'

export const addRules: readonly Rule[] = [
  {
    id: 'cni-add',
    group: 'add',
    severity: 'must',
    sentence: 'ADD succeeds with exit code 0 in every version that VERSION lists.',
    reason: 'A version that is listed and refused leaves a runtime with nothing to speak.',
    section: 'errors',
    eachVersion: true,
    async try(context) {
      const { failed } = await context.add(await context.attachment())
      if (failed) broken(describeCall(failed), failed)
    },
  },
  {
    id: 'cni-add-interface',
    group: 'add',
    severity: 'must',
    sentence: 'After ADD the sandbox has an interface of the name in CNI_IFNAME.',
    reason: 'Programs in the sandbox, and later plugins, look for it by this name.',
    section: 'add',
    roles: ['interface'],
    async try(context) {
      const attachment = await context.attachment()
      await context.mustAdd(attachment)
      const names = await linkNames(context.testbed, attachment.name)
      if (!names.includes(attachment.ifName))
        broken(`the sandbox has ${names.join(', ')}, and no ${attachment.ifName}`)
    },
  },
  {
    id: 'cni-add-sandbox-missing',
    group: 'add',
    severity: 'must',
    sentence: 'ADD fails where the sandbox of CNI_NETNS does not exist.',
    reason: 'A success without an interface sends a container off without a network.',
    section: 'add',
    roles: ['interface'],
    async try({ add, attachment }) {
      const { calls, failed } = await add(await attachment(), { env: { CNI_NETNS: '/nonexistent/netns' } })
      mustBeRefused(failed ?? calls[0]!, 'ADD into /nonexistent/netns')
    },
  },
  {
    id: 'cni-add-twice',
    group: 'add',
    severity: 'must',
    sentence: 'ADD fails where the sandbox has an interface of that name already.',
    reason: 'A second interface in place of the first breaks the connections of whoever is running.',
    section: 'add',
    roles: ['interface'],
    ownInterface: true,
    async try(context) {
      const attachment = await context.attachment()
      await context.mustAdd(attachment)
      const { calls, failed } = await context.add(attachment)
      mustBeRefused(failed ?? calls[0]!, 'a second ADD')
    },
  },
  {
    id: 'cni-add-twice-harmless',
    group: 'add',
    severity: 'should',
    sentence: 'A second ADD that fails leaves the first attachment as it was.',
    reason: 'A runtime that lost its memory and tries again must not cut running containers off.',
    section: 'add',
    roles: ['interface'],
    ownInterface: true,
    async try(context) {
      const attachment = await context.attachment()
      await context.mustAdd(attachment)
      const before = await context.state(attachment)
      const { calls, failed } = await context.add(attachment)
      if (!failed) notTried('a second ADD succeeds')
      const difference = compareStates(before, await context.state(attachment))
      // Files are the plugin's own affair; what the second call reserved is found by the rules of DEL.
      const seen = { added: difference.added.filter(isKernel), gone: difference.gone.filter(isKernel) }
      if (!isSame(seen)) broken(describeDifference(seen), ...calls)
    },
  },
  {
    id: 'cni-add-name-taken-undone',
    group: 'add',
    severity: 'should',
    sentence: 'Where ADD fails because the name is taken, DEL succeeds and nothing is left on the host.',
    reason:
      'Failures are where addresses and interfaces leak: the runtime deletes the sandbox and never comes back.',
    section: 'del',
    roles: ['interface'],
    ownInterface: true,
    async try(context) {
      await context.warmUp()
      const attachment = await context.attachment()
      await context.testbed.sh(
        `ip -n ${attachment.name} link add ${attachment.ifName} type veth peer name taken`,
      )
      const before = await context.state()
      const { calls, failed } = await context.add(attachment)
      if (!failed) notTried('ADD succeeds though the name is taken')
      const undone = await context.del(attachment)
      if (undone.failed) broken(`DEL fails: ${describeCall(undone.failed)}`, ...calls, undone.failed)
      const difference = compareStates(before, await context.state())
      if (!isSame(difference)) broken(describeDifference(difference), ...calls, ...undone.calls)
    },
  },
  {
    id: 'cni-add-second-interface',
    group: 'add',
    severity: 'should',
    sentence:
      'A container can be added a second time under another interface name, and DEL of one leaves the other.',
    reason: 'State kept by container ID alone mixes the two up, and removes both.',
    section: 'add',
    roles: ['interface'],
    ownInterface: true,
    async try(context) {
      const first = await context.attachment()
      await context.mustAdd(first)
      // Another number, as for another container, and the same sandbox.
      const other = await context.attachment()
      const second = { ...first, index: other.index, ifName: 'second0', result: undefined }
      const { failed } = await context.add(second)
      if (failed) broken(`ADD of second0: ${describeCall(failed)}`, failed)
      const undone = await context.del(second)
      if (undone.failed) broken(`DEL of second0: ${describeCall(undone.failed)}`, undone.failed)
      if (!(await hasLink(context.testbed, first, first.ifName)))
        broken(`DEL of second0 removed ${first.ifName} too`, ...undone.calls)
    },
  },
]

function isKernel(line: string): boolean {
  return !line.startsWith('file ')
}
