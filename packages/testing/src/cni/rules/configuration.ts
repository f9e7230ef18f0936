import { describeCall, errorOf, type PluginCall, succeeded } from '../testbed/call.ts'
import type { RuleContext } from './context.ts'
import { mustBeRefused, mustHaveCode } from './refusal.ts'
import type { Rule } from './rule.ts'
import { broken, notTried } from './verdict.ts'

export const configurationRules: readonly Rule[] = [
  {
    id: 'cni-config-bad-json',
    group: 'configuration',
    severity: 'must',
    sentence: 'ADD fails where the configuration is not a JSON object.',
    reason: 'Defaults in place of a configuration that was cut off make a network that nobody asked for.',
    section: 'errors',
    eachPlugin: true,
    async try({ call, plugin, attachment }) {
      const sandbox = await attachment()
      for (const stdin of ['', '{"cniVersion": "0.4.0", "na', '[]', '"text"', 'null'])
        mustBeRefused(
          await call(plugin, 'ADD', sandbox, { stdin }),
          `ADD with ${JSON.stringify(stdin)} on stdin`,
        )
    },
  },
  {
    id: 'cni-config-bad-json-code',
    group: 'configuration',
    severity: 'should',
    sentence: 'JSON that is cut off is an error of code 6.',
    reason: 'The code tells that the configuration never arrived, rather than that it is wrong.',
    section: 'errorCodes',
    since: '1.0.0',
    eachPlugin: true,
    async try({ call, plugin, attachment }) {
      const stdin = '{"cniVersion": "0.4.0", "na'
      mustHaveCode(
        await call(plugin, 'ADD', await attachment(), { stdin }),
        'ADD with half a configuration',
        6,
      )
    },
  },
  {
    id: 'cni-config-no-name',
    group: 'configuration',
    severity: 'should',
    sentence:
      'ADD fails where the configuration has no name, or one that is not letters, digits, dots, dashes and underscores.',
    reason: 'Plugins keep what they remember by the name of the network, often in a directory of that name.',
    section: 'configuration',
    eachPlugin: true,
    async try({ call, plugin, attachment }) {
      const sandbox = await attachment()
      for (const name of [undefined, '../escaped']) {
        const config = { name, ...(sandbox.given ? { prevResult: sandbox.given } : {}) }
        mustBeRefused(await call(plugin, 'ADD', sandbox, { config }), `ADD with network name ${name}`)
      }
    },
  },
  {
    id: 'cni-config-version-unsupported',
    group: 'configuration',
    severity: 'must',
    sentence: 'ADD fails where cniVersion is one that VERSION does not list.',
    reason: 'A request that is read by the rules of another version is misread.',
    section: 'success',
    eachPlugin: true,
    async try({ call, plugin, attachment }) {
      const config = { cniVersion: '99.0.0' }
      mustBeRefused(await call(plugin, 'ADD', await attachment(), { config }), 'ADD with cniVersion 99.0.0')
    },
  },
  {
    id: 'cni-config-version-unsupported-code',
    group: 'configuration',
    severity: 'should',
    sentence: 'A cniVersion that is not supported is an error of code 1.',
    reason: 'By this code a runtime knows to ask again in an older version.',
    section: 'errorCodes',
    eachPlugin: true,
    async try({ call, plugin, attachment }) {
      const config = { cniVersion: '99.0.0' }
      mustHaveCode(await call(plugin, 'ADD', await attachment(), { config }), 'ADD with cniVersion 99.0.0', 1)
    },
  },
  {
    id: 'cni-config-unknown-key',
    group: 'configuration',
    severity: 'must',
    sentence:
      'ADD ignores a key that it does not know, or refuses it with code 2 and a message with its name and value.',
    reason: 'Whoever wrote the file must be able to find what is not understood.',
    section: 'errorCodes',
    async try(context) {
      const [plain, odd] = [await context.attachment(), await context.attachment()]
      await context.mustAdd(plain)
      await context.mustDel(plain)
      const { failed } = await context.add(odd, { config: { 'x-unheard-of': 'some-value' } })
      if (!failed) return
      const error = errorOf(failed)
      const said = `${error?.msg} ${error?.['details']}`
      if (error?.code !== 2 || !said.includes('x-unheard-of') || !said.includes('some-value'))
        broken(describeCall(failed), failed)
    },
  },
  {
    id: 'cni-config-args-ignored',
    group: 'configuration',
    severity: 'should',
    sentence: 'ADD ignores what it does not understand in args.',
    reason: 'Runtimes put labels and the like there for whoever wants them.',
    section: 'configuration',
    until: '0.4.0',
    async try(context) {
      const [plain, odd] = [await context.attachment(), await context.attachment()]
      await context.mustAdd(plain)
      await context.mustDel(plain)
      const { failed } = await context.add(odd, {
        config: { args: { 'example.org/unheard': { of: [1, 2] } } },
      })
      if (failed) broken(describeCall(failed), failed)
    },
  },
]

export const errorRules: readonly Rule[] = [
  {
    id: 'cni-error-shape',
    group: 'errors',
    severity: 'should',
    sentence:
      'An error is an object on stdout with a number as code and a text as msg, and nothing else is on stdout.',
    reason: 'Without it the runtime can only say that the plugin has failed.',
    section: 'errorResult',
    eachPlugin: true,
    async try(context) {
      const made = await provoke(context)
      const error = errorOf(made)
      if (!error) broken(describeCall(made), made)
      const { code, msg, details } = error
      if (!Number.isInteger(code) || code < 1) broken(`code is ${code}`, made)
      if (msg === '') broken('msg is empty', made)
      if (details !== undefined && typeof details !== 'string')
        broken(`details is ${JSON.stringify(details)}`, made)
    },
  },
  {
    id: 'cni-error-version',
    group: 'errors',
    severity: 'should',
    sentence: 'An error has the cniVersion of the request.',
    reason: 'What an error looks like is a matter of the version too.',
    section: 'errorResult',
    eachVersion: true,
    eachPlugin: true,
    async try(context) {
      const made = await provoke(context)
      const error = errorOf(made)
      if (!error) notTried(`no error is printed: ${describeCall(made)}`)
      if (error['cniVersion'] !== context.version)
        broken(
          error['cniVersion'] === undefined
            ? 'the error has no cniVersion'
            : `cniVersion is ${JSON.stringify(error['cniVersion'])}, the request's is ${context.version}`,
          made,
        )
    },
  },
]

// An error that comes after the configuration was read. What a plugin doesn't mind differs.
async function provoke({ call, plugin, attachment }: RuleContext): Promise<PluginCall> {
  const sandbox = await attachment()
  const prevResult = sandbox.given ? { prevResult: sandbox.given } : {}
  for (const deviation of [
    { env: { CNI_NETNS: '/nonexistent/netns' }, config: prevResult },
    { config: { ...prevResult, name: '../escaped' } },
  ]) {
    const made = await call(plugin, 'ADD', sandbox, deviation)
    if (!succeeded(made)) return made
  }
  return notTried('neither a sandbox that does not exist nor a bad name is an error')
}
