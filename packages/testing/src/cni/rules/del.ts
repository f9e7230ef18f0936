import { compareStates, describeDifference, isSame, type State, settle } from '../../kernel-state/state.ts'
import { describeCall } from '../testbed/call.ts'
import { hasLink } from '../testbed/kernel.ts'
import { deleteSandbox } from '../testbed/sandbox.ts'
import type { NetworkRun, RuleContext } from './context.ts'
import type { Rule } from './rule.ts'
import { broken } from './verdict.ts'

export const delRules: readonly Rule[] = [
  {
    id: 'cni-del',
    group: 'del',
    severity: 'must',
    sentence: 'DEL after ADD succeeds with exit code 0.',
    reason: 'A runtime repeats a DEL that fails for ever, and the container never goes.',
    section: 'del',
    eachVersion: true,
    async try(context) {
      const attachment = await context.attachment()
      await context.mustAdd(attachment)
      mustSucceed(await context.del(attachment), 'DEL')
    },
  },
  {
    id: 'cni-del-quiet',
    group: 'del',
    severity: 'should',
    sentence: 'DEL that succeeds prints nothing on stdout.',
    reason: 'There is no result of DEL: what is printed can only be taken for an error.',
    section: 'success',
    async try(context) {
      const attachment = await context.attachment()
      await context.mustAdd(attachment)
      mustBeQuiet(await context.del(attachment))
    },
  },
  {
    id: 'cni-del-interface-gone',
    group: 'del',
    severity: 'should',
    sentence: 'After DEL the interface of CNI_IFNAME is gone from the sandbox.',
    reason: 'A pause container lives on: what stays in it is taken for the new attachment.',
    section: 'del',
    roles: ['interface'],
    ownInterface: true,
    async try(context) {
      const attachment = await context.attachment()
      await context.mustAdd(attachment)
      await context.mustDel(attachment)
      if (await hasLink(context.testbed, attachment, attachment.ifName))
        broken(`${attachment.ifName} is still there`)
    },
  },
  {
    id: 'cni-del-leaves-nothing',
    group: 'del',
    severity: 'should',
    sentence:
      'After ADD and DEL host and sandbox hold the same as before: links, addresses, routes, rules, nft and iptables, queues, files under /run and /var/lib. What a network needs once may stay.',
    reason: 'A node makes millions of attachments in its life: what each leaves behind is what it dies of.',
    section: 'del',
    eachVersion: true,
    async try(context) {
      await context.warmUp()
      const attachment = await context.attachment()
      const before = await context.state(attachment)
      await context.mustAdd(attachment)
      await context.mustDel(attachment)
      const difference = compareStates(before, await context.state(attachment))
      if (!isSame(difference)) broken(describeDifference(difference))
    },
  },
  {
    id: 'cni-del-twice',
    group: 'del',
    severity: 'must',
    sentence: 'A second DEL succeeds.',
    reason: 'A runtime that was killed after the first one has to ask again.',
    section: 'del',
    async try(context) {
      const attachment = await context.attachment()
      await context.mustAdd(attachment)
      await context.mustDel(attachment)
      mustSucceed(await context.del(attachment), 'the second DEL')
    },
  },
  {
    id: 'cni-del-never-added',
    group: 'del',
    severity: 'must',
    sentence: 'DEL of a container that was never added succeeds.',
    reason: 'Where ADD stops in the middle of a list, DEL goes to all plugins of it.',
    section: 'del',
    async try(context) {
      mustSucceed(await context.del(await context.attachment()), 'DEL without ADD')
    },
  },
  {
    id: 'cni-del-no-netns',
    group: 'del',
    severity: 'must',
    sentence: 'DEL succeeds without CNI_NETNS, when the sandbox is gone.',
    reason: 'After a reboot or a crash there are records of containers, and no namespaces.',
    section: 'del',
    async try(context) {
      const attachment = await context.attachment()
      await context.mustAdd(attachment)
      await deleteSandbox(context.testbed, attachment)
      mustSucceed(await context.del(attachment, { env: { CNI_NETNS: undefined } }), 'DEL without CNI_NETNS')
    },
  },
  {
    id: 'cni-del-no-netns-clean',
    group: 'del',
    severity: 'should',
    sentence: 'DEL without CNI_NETNS leaves nothing on the host.',
    reason: 'Addresses and port mappings of containers that are gone run out, or lead to others.',
    section: 'del',
    async try(context) {
      await leavesNothing(context, true, { env: { CNI_NETNS: undefined } })
    },
  },
  {
    id: 'cni-del-netns-gone',
    group: 'del',
    severity: 'should',
    sentence: 'DEL succeeds where CNI_NETNS names a sandbox that is gone.',
    reason: 'The runtime says where the sandbox was; the kernel may have lost it meanwhile.',
    section: 'del',
    async try(context) {
      const attachment = await context.attachment()
      await context.mustAdd(attachment)
      await deleteSandbox(context.testbed, attachment)
      mustSucceed(await context.del(attachment), 'DEL of a sandbox that is gone')
    },
  },
  {
    id: 'cni-del-no-prev-result',
    group: 'del',
    severity: 'must',
    sentence: 'DEL succeeds without prevResult.',
    reason: 'A runtime that has lost its cache still has to get rid of the container.',
    section: 'del',
    since: '0.4.0',
    async try(context) {
      const attachment = await context.attachment()
      await context.mustAdd(attachment)
      mustSucceed(
        await context.del(attachment, { config: { prevResult: undefined } }),
        'DEL without prevResult',
      )
    },
  },
  {
    id: 'cni-del-no-prev-result-clean',
    group: 'del',
    severity: 'should',
    sentence: 'DEL without prevResult leaves nothing on the host.',
    reason: 'What only the lost result could have told stays for good.',
    section: 'del',
    since: '0.4.0',
    async try(context) {
      await leavesNothing(context, false, { config: { prevResult: undefined } })
    },
  },
  {
    id: 'cni-del-other-untouched',
    group: 'del',
    severity: 'must',
    sentence: 'DEL of one container leaves another on the same network as it is.',
    reason: 'Cleaning up by network rather than by container cuts the neighbours off.',
    section: 'del',
    async try(context) {
      await context.warmUp()
      const stays = await context.attachment()
      await context.mustAdd(stays)
      const before = await context.state(stays)
      const goes = await context.attachment()
      await context.mustAdd(goes)
      await context.mustDel(goes)
      const { gone } = compareStates(before, await context.state(stays))
      if (gone.length > 0) broken(describeDifference({ added: [], gone }))
    },
  },
]

/** Breaks the rule where a plugin failed. */
export function mustSucceed({ failed }: NetworkRun, what: string): void {
  if (failed) broken(`${what} fails: ${describeCall(failed)}`, failed)
}

/** Breaks the rule where a plugin that succeeded printed something. */
export function mustBeQuiet({ calls }: NetworkRun): void {
  for (const call of calls)
    if (call.exitCode === 0 && call.stdout.trim() !== '') broken(`it prints ${call.stdout.trim()}`, call)
}

async function leavesNothing(
  context: RuleContext,
  isSandboxGone: boolean,
  deviation: Parameters<RuleContext['del']>[1],
): Promise<void> {
  await context.warmUp()
  const empty = await context.state()
  const attachment = await context.attachment()
  // What the kit puts on the host for a chained plugin goes with the sandbox.
  const before = isSandboxGone ? empty : await context.state()
  await context.mustAdd(attachment)
  if (isSandboxGone) await deleteSandbox(context.testbed, attachment)
  const { calls, failed } = await context.del(attachment, deviation)
  await mustSettle(context, before, failed ? [failed] : calls)
}

/** Breaks the rule where the host has more than before. What is gone went with a sandbox, a device that was lent to it, say. */
export async function mustSettle(
  context: RuleContext,
  before: State,
  calls: NetworkRun['calls'],
): Promise<void> {
  const added = await settle(context.testbed, before)
  if (added.length > 0) broken(describeDifference({ added, gone: [] }), ...calls)
}
