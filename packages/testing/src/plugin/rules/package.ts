import {
  API_VERSION,
  Capability,
  describeValue,
  messageOf,
  pluginNameOfPackage,
  qualifiedNameProblems,
} from '@podwire/api'
import { isObject, type JsonObject } from '../../kernel-state/json.ts'
import type { RuleContext } from '../context.ts'
import { readProcessState } from '../process-state.ts'
import type { Rule } from '../rule.ts'
import { moduleProblem, probeTarget } from '../subject.ts'
import { broken, notTried } from '../verdict.ts'
import { mustBeEmptied } from './left.ts'

const manifestKeys = ['apiVersion', 'plugins', 'capabilities']
const methods = ['init', 'event', 'capabilities', 'setUpPod', 'tearDownPod', 'getPodNetworkStatus', 'status']
const optionalMethods = ['checkPod', 'collectGarbage', 'close']

export const packageRules: readonly Rule[] = [
  {
    id: 'manifest',
    group: 'package',
    sentence: 'package.json has a "podwire" key with the apiVersion, and only keys that a host knows.',
    reason:
      'A host reads the manifest before it runs any code, and rejects the package where it makes no sense of it.',
    async try(context) {
      const { podwire } = context.target.packageJson
      context.step(`read "podwire" in package.json: ${describeValue(podwire)}`)
      if (!isObject(podwire))
        broken(`it is ${describeValue(podwire)}, expected {"apiVersion": ${API_VERSION}}`)
      const { apiVersion, plugins, capabilities } = podwire
      if (apiVersion !== API_VERSION)
        broken(`apiVersion is ${describeValue(apiVersion)}, expected ${API_VERSION}`)
      const unknown = Object.keys(podwire).filter((key) => !manifestKeys.includes(key))
      if (unknown.length > 0)
        broken(`unknown key ${unknown.join(', ')}; there are ${manifestKeys.join(', ')}`)
      if (
        plugins !== undefined &&
        plugins !== 'dynamic' &&
        !isListOf(plugins, (name) => typeof name === 'string')
      )
        broken(`plugins is ${describeValue(plugins)}, expected a list of names or "dynamic"`)
      if (capabilities !== undefined && !isListOf(capabilities, (name) => String(name) in Capability))
        broken(
          `capabilities is ${describeValue(capabilities)}, expected some of ${Object.keys(Capability).join(', ')}`,
        )
    },
  },
  {
    id: 'names',
    group: 'package',
    sentence: 'Plugin names are qualified names, and agree with the name of the package.',
    reason: 'The operator writes the plugin’s name and installs the package’s: one must lead to the other.',
    async try(context) {
      const names = statedNames(context.target.packageJson)
      const packageName = String(context.target.packageJson['name'])
      context.step(
        `read the plugin names of ${packageName}: ${names?.join(', ') ?? 'only its probe knows them'}`,
      )
      if (names === undefined) return
      if (names.length === 0)
        broken(`neither the manifest nor the package’s name ${packageName} says what the plugin is called`)
      for (const name of names) {
        const problems = qualifiedNameProblems(name)
        if (problems.length > 0) broken(`"${name}" is not a plugin’s name: ${problems.join('; ')}`)
      }
      const conventional = pluginNameOfPackage(packageName)
      const mustAgree = conventional !== undefined && !packageName.startsWith('@podwire/')
      if (mustAgree && !names.includes(conventional))
        broken(`the package’s name says "${conventional}", the manifest "${names.join('", "')}"`)
    },
  },
  {
    id: 'import',
    group: 'package',
    sentence: 'The package can be imported.',
    reason: 'A host that can’t import its plugin does not start.',
    async try(context) {
      context.step('import the package')
      await context.exports().catch((error: unknown) => broken(`the import failed: ${messageOf(error)}`))
    },
  },
  {
    id: 'import-leaves-nothing',
    group: 'package',
    sentence: 'Importing and probing start nothing that goes on, and change nothing.',
    reason:
      'A host also imports and probes to check a configuration or to list plugins: a command that looks must end, and touch nothing.',
    async try(context) {
      const before = await context.state()
      const module = await context.module()
      await probe(context, module)
      context.step('look at what is still running')
      await mustBeEmptied([], async () =>
        (await readProcessState()).handles.filter((handle) => !/Pipe|TTY/.test(handle)),
      )
      await context.mustBe(before)
    },
  },
  {
    id: 'module',
    group: 'package',
    sentence:
      'The default export has apiVersion, probe, and options that are a Standard Schema where it has any.',
    reason: 'It is what a host calls; definePlugin() types it.',
    async try(context) {
      const exports = await context
        .exports()
        .catch((error: unknown) => notTried(`its import failed: ${messageOf(error)}`))
      context.step('look at the default export')
      const problem = moduleProblem(exports)
      if (problem !== undefined) broken(problem)
    },
  },
  {
    id: 'probe',
    group: 'package',
    sentence:
      'probe() returns plugins with every method of the contract, under names that the manifest states.',
    reason: 'A host takes a plugin by its name, and calls its methods without asking whether they are there.',
    async try(context) {
      const module = await context.module()
      const returned: unknown = await probe(context, module)
      if (!Array.isArray(returned)) broken(`it returned ${describeValue(returned)}, expected an array`)
      if (returned.length === 0) broken('it returned no plugin')
      for (const plugin of returned) assertPlugin(plugin)
      const stated = statedNames(context.target.packageJson)
      const unstated = returned.map(({ name }) => name).filter((name) => stated && !stated.includes(name))
      if (unstated.length > 0)
        broken(`it offers "${unstated.join('", "')}", and the manifest states "${stated?.join('", "')}"`)
    },
  },
  {
    id: 'probe-anew',
    group: 'package',
    sentence: 'Every probe() returns new plugins.',
    reason:
      'A host that starts its plugin again, and two hosts in one process, initialise a plugin of their own each.',
    async try(context) {
      const first = await context.probe()
      const second = await context.probe()
      const same = first.filter((plugin) => second.includes(plugin))
      if (same.length > 0)
        broken(`the second probe returned the first one’s "${same.map(({ name }) => name).join('", "')}"`)
    },
  },
]

async function probe(context: RuleContext, module: Awaited<ReturnType<RuleContext['module']>>) {
  context.step('probe()')
  return probeTarget(module, context.target).catch((error: unknown) =>
    broken(`it failed: ${messageOf(error)}`),
  )
}

function assertPlugin(plugin: unknown): void {
  if (!isObject(plugin)) broken(`it returned ${describeValue(plugin)} as a plugin`)
  const { name } = plugin
  if (typeof name !== 'string' || qualifiedNameProblems(name).length > 0)
    broken(`a plugin’s name is ${describeValue(name)}, expected a qualified name such as "acme.io/net"`)
  const missing = methods.filter((method) => typeof plugin[method] !== 'function')
  if (missing.length > 0) broken(`"${name}" lacks ${missing.join(', ')}`)
  const wrong = optionalMethods.filter((method) => !['function', 'undefined'].includes(typeof plugin[method]))
  if (wrong.length > 0) broken(`"${name}" has something that is not a method as ${wrong.join(', ')}`)
}

/** The names of the plugins that a package.json states or implies; undefined: only its probe knows. */
function statedNames(packageJson: JsonObject): readonly string[] | undefined {
  const { podwire, name } = packageJson
  const stated = isObject(podwire) ? podwire['plugins'] : undefined
  if (stated === 'dynamic') return undefined
  if (Array.isArray(stated)) return stated.map(String)
  const conventional = pluginNameOfPackage(String(name))
  return conventional === undefined ? [] : [conventional]
}

function isListOf(value: unknown, is: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(is)
}
