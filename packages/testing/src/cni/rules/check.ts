import { compareStates, readState } from '../../kernel-state/state.ts'
import { describeCall } from '../testbed/call.ts'
import { claimedAddresses, claimedRoutes } from '../testbed/kernel.ts'
import { type Attachment, deleteSandbox } from '../testbed/sandbox.ts'
import type { RuleContext } from './context.ts'
import { mustBeQuiet, mustSucceed } from './del.ts'
import { mustBeRefused } from './refusal.ts'
import type { Rule } from './rule.ts'
import { broken, notTried } from './verdict.ts'

/** What all rules of CHECK after a change have in common. */
type Change = Pick<Rule, 'id' | 'sentence' | 'reason' | 'roles' | 'ownInterface'> & {
  /** Changes the kernel behind the plugin's back, or gives up. */
  change(context: RuleContext, attachment: Attachment, added: readonly string[]): Promise<void>
}

const changes: readonly Change[] = [
  {
    id: 'cni-check-link-removed',
    sentence: 'CHECK fails when the interface is gone.',
    reason: 'A container without an interface has to be noticed and made anew.',
    roles: ['interface'],
    ownInterface: true,
    change: async ({ testbed }, { name, ifName }) => {
      await testbed.sh(`ip -n ${name} link delete ${ifName}`)
    },
  },
  {
    id: 'cni-check-address-removed',
    sentence: 'CHECK fails when an address of the result is gone from the interface.',
    reason: 'The address is announced to others, and packets to it go nowhere.',
    roles: ['interface'],
    change: async ({ testbed }, attachment) => {
      const [first] = claimedAddresses(attachment.result ?? {}, attachment)
      if (!first) return notTried('the result has no address for an interface of the sandbox')
      await testbed.sh(`ip -n ${attachment.name} addr delete ${first.address} dev ${first.link}`)
    },
  },
  {
    id: 'cni-check-route-removed',
    sentence: 'CHECK fails when a route of the result is gone.',
    reason: 'Without its default route a container reaches its neighbours at best.',
    roles: ['interface'],
    change: async ({ testbed }, { name, result = {} }) => {
      const [first] = claimedRoutes(result)
      if (!first) return notTried('the result has no routes')
      await testbed.sh(`ip -n ${name} route delete ${first}`)
    },
  },
  {
    id: 'cni-check-sandbox-gone',
    sentence: 'CHECK fails when the sandbox is gone.',
    reason: 'What does not exist any more is not as expected.',
    roles: ['interface'],
    change: ({ testbed }, attachment) => deleteSandbox(testbed, attachment),
  },
  {
    id: 'cni-check-firewall-removed',
    sentence: 'CHECK fails when the packet filter rules that ADD made are gone.',
    reason: 'Masquerading and port mappings are lost when somebody else reloads the firewall.',
    change: async ({ testbed }, _attachment, added) => {
      if (!added.some((line) => line.startsWith('host: nft '))) notTried('ADD makes no packet filter rules')
      await testbed.sh('nft flush ruleset')
    },
  },
  {
    id: 'cni-check-shaping-removed',
    sentence: 'CHECK fails when the traffic shaping that ADD made is gone.',
    reason: 'One container without its limit takes the bandwidth of all.',
    change: async ({ testbed }, _attachment, added) => {
      const devices = added.flatMap((line) => /^host: qdisc .* dev (\S+)/.exec(line)?.[1] ?? [])
      if (devices.length === 0) notTried('ADD shapes no traffic')
      for (const device of new Set(devices))
        await testbed.sh(`tc qdisc delete dev ${device} root; tc qdisc delete dev ${device} ingress; true`)
    },
  },
  {
    id: 'cni-check-reservation-removed',
    sentence: 'CHECK fails when the reservation of the address is gone.',
    reason: 'The address is free to be given away: two containers with one address.',
    change: async ({ testbed, subject }, _attachment, added) => {
      const files = added.flatMap((line) => (line.startsWith('file ') ? [line.slice('file '.length)] : []))
      const hasIpam = subject.role === 'ipam' || 'ipam' in subject.plugins[0].config(0)
      if (files.length === 0 || !hasIpam) notTried('ADD makes no reservation under /run or /var/lib')
      for (const file of files) {
        const quoted = `'${file.replaceAll("'", "'\\''")}'`
        await testbed.sh(`[ ! -f ${quoted} ] || rm ${quoted}`)
      }
    },
  },
]

export const checkRules: readonly Rule[] = [
  {
    id: 'cni-check',
    group: 'check',
    severity: 'must',
    sentence: 'CHECK right after ADD succeeds.',
    reason: 'A false alarm makes a runtime tear a container down that is well.',
    section: 'check',
    since: '0.4.0',
    eachVersion: true,
    async try(context) {
      const attachment = await checkable(context)
      await context.mustAdd(attachment)
      mustSucceed(await context.check(attachment), 'CHECK')
    },
  },
  {
    id: 'cni-check-quiet',
    group: 'check',
    severity: 'must',
    sentence: 'CHECK that succeeds prints nothing on stdout.',
    reason: 'The answer of CHECK is nothing or an error.',
    section: 'check',
    since: '0.4.0',
    async try(context) {
      const attachment = await checkable(context)
      await context.mustAdd(attachment)
      mustBeQuiet(await context.check(attachment))
    },
  },
  {
    id: 'cni-check-harmless',
    group: 'check',
    severity: 'should',
    sentence: 'CHECK changes nothing.',
    reason: 'It is asked of containers that serve somebody.',
    section: 'check',
    since: '0.4.0',
    async try(context) {
      const attachment = await checkable(context)
      await context.mustAdd(attachment)
      const before = await context.state(attachment)
      const { calls } = await context.check(attachment)
      const { added, gone } = compareStates(before, await context.state(attachment))
      const seen = [...added.map((line) => `new: ${line}`), ...gone.map((line) => `gone: ${line}`)]
      if (seen.length > 0) broken(seen.join(', '), ...calls)
    },
  },
  {
    id: 'cni-check-no-prev-result',
    group: 'check',
    severity: 'must',
    sentence: 'CHECK fails without prevResult.',
    reason: 'Without it nobody knows what is expected; a success says that all is well.',
    section: 'check',
    since: '0.4.0',
    roles: ['interface', 'chained'],
    async try(context) {
      const attachment = await checkable(context)
      await context.mustAdd(attachment)
      const { calls, failed } = await context.check(attachment, { config: { prevResult: undefined } })
      mustBeRefused(failed ?? calls[0]!, 'CHECK without prevResult')
    },
  },
  ...changes.map(
    ({ change, ...rule }): Rule => ({
      ...rule,
      group: 'check',
      severity: 'should',
      section: 'check',
      since: '0.4.0',
      async try(context) {
        const attachment = await checkable(context)
        await context.warmUp()
        const before = await readState(context.testbed)
        await context.mustAdd(attachment)
        const first = await context.check(attachment)
        if (first.failed) notTried(`CHECK doesn't work: ${describeCall(first.failed)}`)
        const { added } = compareStates(before, await readState(context.testbed))
        await change(context, attachment, added)
        const { calls, failed } = await context.check(attachment)
        if (!failed) broken('CHECK succeeds', ...calls)
        if (failed.exitCode === null) broken(describeCall(failed), failed)
      },
    }),
  ),
]

async function checkable(context: RuleContext): Promise<Attachment> {
  if (context.subject.disableCheck) notTried('the configuration has disableCheck')
  return context.attachment()
}
