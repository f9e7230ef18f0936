import { describeCall, errorOf } from '../testbed/call.ts'
import type { RuleContext } from './context.ts'
import { mustBeRefused, mustHaveCode } from './refusal.ts'
import type { Rule } from './rule.ts'
import { broken, notTried } from './verdict.ts'

const required = {
  ADD: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'],
  DEL: ['CNI_CONTAINERID', 'CNI_IFNAME'],
  CHECK: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'],
} as const

export const environmentRules: readonly Rule[] = [
  ...(['ADD', 'DEL', 'CHECK'] as const).map(
    (command): Rule => ({
      id: `cni-env-${command.toLowerCase()}-missing`,
      group: 'environment',
      severity: 'must',
      sentence: `${command} fails without ${required[command].join(', without ')}.`,
      reason: 'A plugin that guesses works on another container than the one that was meant.',
      section: command === 'ADD' ? 'add' : command === 'DEL' ? 'del' : 'check',
      ...(command === 'CHECK' ? { since: '0.4.0' } : {}),
      eachPlugin: true,
      async try(context) {
        for (const name of required[command])
          mustBeRefused(await callWithout(context, command, name), `${command} without ${name}`)
      },
    }),
  ),
  {
    id: 'cni-env-missing-named',
    group: 'environment',
    severity: 'must',
    sentence: 'The error for a missing variable names it.',
    reason: 'Who reads the log of a runtime sees the message alone.',
    section: 'errorCodes',
    since: '1.0.0',
    eachPlugin: true,
    async try(context) {
      for (const name of required.ADD) {
        const call = await callWithout(context, 'ADD', name)
        const error = errorOf(call)
        if (!error) notTried(`no error is printed: ${describeCall(call)}`)
        if (!`${error.msg} ${error['details']}`.includes(name))
          broken(`${name} isn't named: ${describeCall(call)}`, call)
      }
    },
  },
  {
    id: 'cni-env-missing-code',
    group: 'environment',
    severity: 'should',
    sentence: 'A missing variable is an error of code 4.',
    reason: 'The code tells a runtime that the fault is its own, and that trying again is of no use.',
    section: 'errorCodes',
    since: '1.0.0',
    eachPlugin: true,
    async try(context) {
      for (const name of required.ADD)
        mustHaveCode(await callWithout(context, 'ADD', name), `ADD without ${name}`, 4)
    },
  },
  {
    id: 'cni-env-containerid-invalid',
    group: 'environment',
    severity: 'should',
    sentence: 'ADD refuses a container ID that is not letters, digits, dots, dashes and underscores.',
    reason: 'IDs become names of files: with a slash in it one leads out of the directory.',
    section: 'parameters',
    since: '1.0.0',
    eachPlugin: true,
    async try(context) {
      const attachment = await context.attachment()
      const env = { CNI_CONTAINERID: '../../escaped' }
      mustBeRefused(await addOne(context, attachment, { env }), 'ADD with container ID ../../escaped')
    },
  },
  {
    id: 'cni-env-ifname-unusable',
    group: 'environment',
    severity: 'must',
    sentence: 'ADD fails for an interface name that the kernel does not take.',
    reason: 'With a name cut or changed the interface is not where the runtime looks for it.',
    section: 'parameters',
    eachPlugin: true,
    roles: ['interface', 'chained'],
    async try(context) {
      const attachment = await context.attachment()
      for (const name of ['sixteen-letters-', 'with/slash']) {
        const call = await addOne(context, attachment, { env: { CNI_IFNAME: name } })
        mustBeRefused(call, `ADD with interface name ${name}`)
      }
    },
  },
  {
    id: 'cni-command-unknown',
    group: 'environment',
    severity: 'must',
    sentence: 'An unknown CNI_COMMAND is an error.',
    reason: 'A command of a later version that succeeds without effect is taken for done.',
    section: 'errors',
    eachPlugin: true,
    async try({ call, plugin, attachment }) {
      mustBeRefused(await call(plugin, 'DANCE', await attachment()), 'the command DANCE')
    },
  },
  {
    id: 'cni-command-unknown-code',
    group: 'environment',
    severity: 'should',
    sentence: 'An unknown CNI_COMMAND is an error of code 4.',
    reason: 'By the code runtimes tell an old plugin from one that has failed.',
    section: 'errorCodes',
    since: '1.0.0',
    eachPlugin: true,
    async try({ call, plugin, attachment }) {
      mustHaveCode(await call(plugin, 'DANCE', await attachment()), 'the command DANCE', 4)
    },
  },
  {
    id: 'cni-args-ignore-unknown',
    group: 'environment',
    severity: 'should',
    sentence: 'ADD takes arguments in CNI_ARGS that it does not know, where IgnoreUnknown=1 is among them.',
    reason: 'Kubernetes passes the name of the pod to every plugin this way.',
    section: 'cniArgs',
    async try(context) {
      const attachment = await context.attachment()
      await context.mustAdd(attachment)
      await context.mustDel(attachment)
      const other = await context.attachment()
      const { failed } = await context.add(other, { env: { CNI_ARGS: 'IgnoreUnknown=1;CNI_TEST=yes' } })
      if (failed) broken(describeCall(failed), failed)
    },
  },
]

async function callWithout(context: RuleContext, command: keyof typeof required, name: string) {
  const attachment = await context.attachment()
  return addOne(context, attachment, { env: { [name]: undefined } }, command)
}

// One plugin of a list by itself: what it would be given by those before it can't matter to what is tried here.
async function addOne(
  { call, plugin }: RuleContext,
  attachment: Awaited<ReturnType<RuleContext['attachment']>>,
  deviation: { env: Record<string, string | undefined> },
  command: string = 'ADD',
) {
  const config = attachment.given ? { prevResult: attachment.given } : {}
  return call(plugin, command, attachment, { ...deviation, config })
}
