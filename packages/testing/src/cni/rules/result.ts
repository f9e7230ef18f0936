import { isObject, type JsonObject, objects, tryParse } from '../../kernel-state/json.ts'
import { resultProblems } from '../spec/result-shape.ts'
import { describeCall, type PluginCall, succeeded } from '../testbed/call.ts'
import { claimedAddresses, claimedRoutes, sandboxAddresses, sandboxRoutes } from '../testbed/kernel.ts'
import type { NetworkRun, RuleContext } from './context.ts'
import type { Rule } from './rule.ts'
import { broken, notTried } from './verdict.ts'

export const resultRules: readonly Rule[] = [
  {
    id: 'cni-result-alone',
    group: 'result',
    severity: 'must',
    sentence:
      'After ADD the result, a JSON object, is all that is on stdout; what else there is to say goes to stderr.',
    reason: 'One line of a log in front of it, and no runtime can read the result.',
    section: 'success',
    async try(context) {
      const { calls } = await addOnce(context)
      for (const call of calls) if (!isObject(tryParse(call.stdout))) broken(describeCall(call), call)
    },
  },
  {
    id: 'cni-result-ends',
    group: 'result',
    severity: 'should',
    sentence: 'When the plugin has ended its stdout is closed.',
    reason: 'A runtime reads to the end: a daemon that inherited stdout makes it wait for ever.',
    section: 'success',
    async try(context) {
      const { calls } = await addOnce(context)
      for (const call of calls)
        if (call.heldOpen)
          broken('the plugin has ended, and a process that it left behind holds its stdout open', call)
    },
  },
  {
    id: 'cni-result-version',
    group: 'result',
    severity: 'must',
    sentence: 'The result has the cniVersion of the request.',
    reason: 'By it the next plugin and the runtime read the rest.',
    section: 'success',
    eachVersion: true,
    async try(context) {
      for (const { call, result } of await results(context))
        if (result['cniVersion'] !== context.version)
          broken(
            `cniVersion is ${JSON.stringify(result['cniVersion'])}, the request's is ${context.version}`,
            call,
          )
    },
  },
  {
    id: 'cni-result-shape',
    group: 'result',
    severity: 'must',
    sentence: 'interfaces, ips, routes and dns of the result have the shape of the version.',
    reason: 'Runtimes parse results strictly: one field of another type, and the container does not start.',
    section: 'success',
    eachVersion: true,
    async try(context) {
      for (const { call, result } of await results(context)) {
        const [problem] = resultProblems(result, context.version, context.subject.role)
        if (problem) broken(`${problem}: ${describeCall(call)}`, call)
      }
    },
  },
  {
    id: 'cni-result-interface',
    group: 'result',
    severity: 'must',
    sentence: 'The result lists the interface of CNI_IFNAME with CNI_NETNS as its sandbox.',
    reason: 'That entry is how later plugins and CHECK know which interface is the container’s.',
    section: 'success',
    roles: ['interface'],
    async try(context) {
      const attachment = await context.attachment()
      const result = await context.mustAdd(attachment)
      const own = objects(result['interfaces']).some(
        ({ name, sandbox }) => name === attachment.ifName && sandbox === attachment.netns,
      )
      if (!own)
        broken(
          `no entry for ${attachment.ifName} in ${attachment.netns}: ${JSON.stringify(result['interfaces'])}`,
        )
    },
  },
  {
    id: 'cni-result-addresses',
    group: 'result',
    severity: 'must',
    sentence: 'The addresses that the result gives to an interface of the sandbox are on it.',
    reason: 'What is announced as the address of a pod must be reachable there.',
    section: 'success',
    roles: ['interface', 'chained'],
    async try(context) {
      const attachment = await context.attachment()
      const claimed = claimedAddresses(await context.mustAdd(attachment), attachment)
      if (claimed.length === 0) notTried('the result has no address for an interface of the sandbox')
      const there = await sandboxAddresses(context.testbed, attachment)
      const missing = claimed.filter(
        ({ link, address }) => !there.some((entry) => entry.link === link && entry.address === address),
      )
      if (missing.length > 0)
        broken(
          `not there: ${missing.map(({ link, address }) => `${address} on ${link}`).join(', ')}; ` +
            `there: ${there.map(({ link, address }) => `${address} on ${link}`).join(', ')}`,
        )
    },
  },
  {
    id: 'cni-result-routes',
    group: 'result',
    severity: 'must',
    sentence: 'The routes of the result are in the sandbox.',
    reason: 'A default route that exists on paper alone is found out by the first connection.',
    section: 'success',
    roles: ['interface', 'chained'],
    async try(context) {
      const attachment = await context.attachment()
      const claimed = claimedRoutes(await context.mustAdd(attachment))
      if (claimed.length === 0) notTried('the result has no routes')
      const there = await sandboxRoutes(context.testbed, attachment)
      const missing = claimed.filter((route) => !there.includes(route))
      if (missing.length > 0) broken(`not there: ${missing.join(', ')}; there: ${there.join(', ')}`)
    },
  },
  {
    id: 'cni-result-passed-on',
    group: 'result',
    severity: 'must',
    sentence: 'A plugin that is given a prevResult prints it as its result, with what it has changed.',
    reason:
      'The result of the last plugin is all that a runtime keeps: what is dropped here nobody knows of any more.',
    section: 'chain',
    eachVersion: true,
    roles: ['interface', 'chained'],
    async try(context) {
      const { plugins, role } = context.subject
      if (role !== 'chained' && plugins.length === 1)
        notTried('it is the first plugin, which is given no prevResult')
      const attachment = await context.attachment()
      const { calls, failed } = await context.add(attachment)
      if (failed) notTried(`ADD doesn't work: ${describeCall(failed)}`)
      let before = attachment.given
      for (const call of calls) {
        const result = tryParse(call.stdout)
        const lost = before === undefined ? [] : lostFrom(before, isObject(result) ? result : {})
        if (lost.length > 0) broken(`its result lacks ${lost.join(', ')} of prevResult`, call)
        before = isObject(result) ? result : before
      }
    },
  },
  {
    id: 'cni-result-ipam',
    group: 'result',
    severity: 'must',
    sentence: 'The result of an address plugin has no interfaces, and its ips no interface.',
    reason: 'Which interface an address goes to is for the plugin that asked for it to decide.',
    section: 'delegatedResult',
    eachVersion: true,
    roles: ['ipam'],
    async try(context) {
      for (const { call, result } of await results(context)) {
        if (objects(result['interfaces']).length > 0) broken('it has interfaces', call)
        if (objects(result['ips']).some((ip) => 'interface' in ip))
          broken('an entry of ips has interface', call)
      }
    },
  },
]

async function addOnce(context: RuleContext): Promise<NetworkRun> {
  const run = await context.add(await context.attachment())
  // A plugin that prints something else than a result ends the run, and has succeeded by its exit code.
  if (run.failed && !succeeded(run.failed)) notTried(`ADD doesn't work: ${describeCall(run.failed)}`)
  return run
}

async function results(context: RuleContext): Promise<{ call: PluginCall; result: JsonObject }[]> {
  const { calls } = await addOnce(context)
  return calls.map((call) => {
    const result = tryParse(call.stdout)
    return isObject(result) ? { call, result } : notTried('what ADD prints is not a JSON object')
  })
}

// By what names a thing: a chained plugin may change an interface's hardware address, say.
function lostFrom(before: JsonObject, after: JsonObject): string[] {
  const names = (result: JsonObject) => objects(result['interfaces']).map(({ name }) => `interface ${name}`)
  const addresses = (result: JsonObject) => objects(result['ips']).map(({ address }) => `address ${address}`)
  return [
    ...names(before).filter((name) => !names(after).includes(name)),
    ...addresses(before).filter((address) => !addresses(after).includes(address)),
  ]
}
