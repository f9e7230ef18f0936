import { isObject, type JsonObject, tryParse } from '../../kernel-state/json.ts'
import { describeCall, type PluginCall, succeeded } from '../testbed/call.ts'
import type { RuleContext } from './context.ts'
import type { Rule } from './rule.ts'
import { broken, notTried } from './verdict.ts'

export const versionRules: readonly Rule[] = [
  {
    id: 'cni-version-answers',
    group: 'version',
    severity: 'must',
    sentence: 'VERSION prints an object with cniVersion and supportedVersions, a list of versions.',
    reason: 'A runtime picks the version to speak from that list before it does anything else.',
    section: 'versionResult',
    eachPlugin: true,
    async try(context) {
      const call = await ask(context)
      const answer = answerOf(call)
      if (!succeeded(call) || !answer) broken(describeCall(call), call)
      const { cniVersion, supportedVersions: list } = answer
      if (typeof cniVersion !== 'string') broken(`cniVersion is ${JSON.stringify(cniVersion)}`, call)
      const isList = Array.isArray(list) && list.length > 0
      if (!isList || !list.every((version) => typeof version === 'string' && /^\d+\.\d+\.\d+/.test(version)))
        broken(`supportedVersions is ${JSON.stringify(list)}`, call)
    },
  },
  {
    id: 'cni-version-alone',
    group: 'version',
    severity: 'must',
    sentence: 'VERSION needs no variable but CNI_COMMAND.',
    reason: 'Runtimes ask for it where there is no container yet.',
    section: 'version',
    eachPlugin: true,
    async try(context) {
      const call = await ask(context, { CNI_PATH: undefined })
      if (!succeeded(call) || !answerOf(call)) broken(describeCall(call), call)
    },
  },
  {
    id: 'cni-version-echo',
    group: 'version',
    severity: 'must',
    sentence: "VERSION's answer has the cniVersion of the question.",
    reason:
      'An answer in another version than the one in use may have a shape that the caller does not know.',
    section: 'versionResult',
    since: '1.0.0',
    eachPlugin: true,
    async try(context) {
      // Two questions: a plugin that always says the same is right for one of them.
      for (const version of ['0.4.0', context.version]) {
        const call = await ask(context, {}, version)
        const answer = answerOf(call)
        if (!succeeded(call) || !answer) notTried(`VERSION doesn't work: ${describeCall(call)}`)
        if (answer['cniVersion'] !== version)
          broken(
            `asked in ${version} it answers with cniVersion ${JSON.stringify(answer['cniVersion'])}`,
            call,
          )
      }
    },
  },
]

async function ask(
  { call, plugin, version }: RuleContext,
  env: Record<string, string | undefined> = {},
  cniVersion: string = version,
): Promise<PluginCall> {
  return call(plugin, 'VERSION', undefined, { env, stdin: JSON.stringify({ cniVersion }) })
}

function answerOf(call: PluginCall): JsonObject | undefined {
  const parsed = tryParse(call.stdout)
  return isObject(parsed) ? parsed : undefined
}
