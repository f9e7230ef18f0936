import { isDeepStrictEqual } from 'node:util'
import { isObject, tryParse } from '../../kernel-state/json.ts'
import { atLeast } from '../spec/versions.ts'
import { describeCall, succeeded } from '../testbed/call.ts'
import type { RuleContext } from './context.ts'
import { type Delegate, withDelegate } from './delegate.ts'
import type { Rule } from './rule.ts'
import { broken, notTried } from './verdict.ts'

const roles = ['interface', 'chained'] as const

export const delegationRules: readonly Rule[] = [
  {
    id: 'cni-delegate-called',
    group: 'delegation',
    severity: 'must',
    sentence: 'ADD, CHECK and DEL, and GC and STATUS, are passed on to the address plugin.',
    reason: 'An address that is not given back is lost; one that is not checked may be somebody else’s.',
    section: 'delegation',
    roles,
    async try(context) {
      await withDelegate(context, async (delegate) => {
        const attachment = await context.attachment()
        const deviation = behind(delegate)
        const added = await context.add(attachment, deviation)
        if (added.failed) notTried(`ADD doesn't work: ${describeCall(added.failed)}`)
        const wanted = ['ADD', 'DEL']
        if (atLeast(context.version, '0.4.0')) {
          wanted.push('CHECK')
          await context.check(attachment, deviation)
        }
        await context.del(attachment, deviation)
        if (atLeast(context.version, '1.1.0')) {
          wanted.push('GC', 'STATUS')
          await context.forAll('GC', { ...deviation, config: { 'cni.dev/valid-attachments': [] } })
          await context.forAll('STATUS', deviation)
        }
        const heard = (await delegate.calls()).map(({ command }) => command)
        const missing = wanted.filter((command) => !heard.includes(command))
        if (missing.length > 0)
          broken(`not passed on: ${missing.join(', ')}; passed on: ${heard.join(', ') || 'nothing'}`)
      })
    },
  },
  {
    id: 'cni-delegate-request',
    group: 'delegation',
    severity: 'must',
    sentence: 'The address plugin gets the variables and the whole configuration that the plugin got.',
    reason: 'It keeps its records by them, and finds its part of the configuration by itself.',
    section: 'delegatedProtocol',
    roles,
    async try(context) {
      await withDelegate(context, async (delegate) => {
        const { calls, failed } = await context.add(await context.attachment(), behind(delegate))
        const [call] = calls
        const [delegated] = (await delegate.calls()).filter(({ command }) => command === 'ADD')
        if (!call || !delegated)
          return notTried(`ADD is not passed on${failed ? `: ${describeCall(failed)}` : ''}`)
        for (const [name, value] of Object.entries(call.env))
          if (delegated.env[name] !== value) broken(`${name} is ${delegated.env[name]}, not ${value}`, call)
        const given = tryParse(call.stdin)
        if (!isObject(given) || !isObject(delegated.config) || !isDeepStrictEqual(given, delegated.config))
          broken(`its configuration is ${JSON.stringify(delegated.config)}`, call)
      })
    },
  },
  ...(['ADD', 'CHECK', 'DEL', 'STATUS'] as const).map(
    (command): Rule => ({
      id: `cni-delegate-${command.toLowerCase()}-fails`,
      group: 'delegation',
      severity: 'must',
      sentence: `${command} fails where ${command} of the address plugin does.`,
      reason: 'An error that is swallowed is found by whoever needs the address.',
      section: command === 'STATUS' ? 'status' : 'delegation',
      ...(command === 'CHECK' ? { since: '0.4.0' } : command === 'STATUS' ? { since: '1.1.0' } : {}),
      roles,
      async try(context) {
        await withDelegate(context, async (delegate) => {
          const attachment = await context.attachment()
          if (command !== 'ADD') await context.mustAdd(attachment)
          await delegate.fail(command)
          const { calls, failed } = await carryOut(context, command, attachment, delegate)
          const heard = (await delegate.calls()).some((call) => call.command === command)
          if (!heard) notTried(`${command} is not passed on`)
          if (!failed || succeeded(failed)) broken(`${command} succeeds`, ...calls)
        })
      },
    }),
  ),
  {
    id: 'cni-delegate-add-undone',
    group: 'delegation',
    severity: 'should',
    sentence: 'Where ADD of the address plugin fails, the plugin calls its DEL before it fails itself.',
    reason: 'The address plugin may have reserved the address before it failed.',
    section: 'delegation',
    since: '1.0.0',
    roles,
    async try(context) {
      await withDelegate(context, async (delegate) => {
        await delegate.fail('ADD')
        const { calls, failed } = await context.add(await context.attachment(), behind(delegate))
        if (!failed) notTried('ADD succeeds')
        const heard = (await delegate.calls()).map(({ command }) => command)
        if (!heard.includes('ADD')) notTried('ADD is not passed on')
        if (!heard.includes('DEL'))
          broken(`the address plugin gets ${heard.join(', ')}, and no DEL`, ...calls)
      })
    },
  },
]

function behind({ path }: Delegate) {
  return { env: { CNI_PATH: path } }
}

function carryOut(
  context: RuleContext,
  command: 'ADD' | 'CHECK' | 'DEL' | 'STATUS',
  attachment: Awaited<ReturnType<RuleContext['attachment']>>,
  delegate: Delegate,
) {
  const deviation = behind(delegate)
  switch (command) {
    case 'ADD':
      return context.add(attachment, deviation)
    case 'CHECK':
      return context.check(attachment, deviation)
    case 'DEL':
      return context.del(attachment, deviation)
    case 'STATUS':
      return context.forAll('STATUS', deviation)
  }
}
