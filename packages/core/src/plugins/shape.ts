import { API_VERSION, describeValue, type NetworkPlugin, type PluginModule } from '@podwire/api'

// Checked by shape: a plugin may carry its own copy of the contract.
const methods = [
  'init',
  'event',
  'capabilities',
  'setUpPod',
  'tearDownPod',
  'getPodNetworkStatus',
  'status',
] as const
const optionalMethods = ['checkPod', 'collectGarbage', 'close'] as const

/** The plugin module in a package's exports; a string says what is wrong. */
export function asPluginModule(exports: unknown): PluginModule<unknown> | string {
  const own = property(exports, 'default')
  // A package compiled as CommonJS wraps its default export once more.
  const module =
    property(own, 'probe') === undefined && property(own, 'default') !== undefined
      ? property(own, 'default')
      : own
  if (module === undefined) return 'it has no default export'
  if (typeof module !== 'object' || module === null) return `its default export is ${describeValue(module)}`
  const apiVersion = property(module, 'apiVersion')
  if (apiVersion !== API_VERSION)
    return `its apiVersion is ${describeValue(apiVersion)}, and this host knows ${API_VERSION}`
  if (typeof property(module, 'probe') !== 'function') return 'its default export has no probe function'
  const options = property(module, 'options')
  if (options !== undefined && typeof property(property(options, '~standard'), 'validate') !== 'function') {
    return 'its options are not a Standard Schema (zod, valibot, arktype …)'
  }
  // Each property that a host uses was looked at above.
  return module as PluginModule<unknown>
}

/** What a probe returned, as network plugins; a string says what is wrong. */
export function asNetworkPlugins(returned: unknown): NetworkPlugin[] | string {
  if (!Array.isArray(returned))
    return `its probe returned ${describeValue(returned)} instead of an array of plugins`
  for (const [index, plugin] of returned.entries()) {
    const problem = pluginProblem(plugin)
    if (problem) return `plugin ${index} of its probe ${problem}`
  }
  // Each property that a host uses was looked at above.
  return returned as NetworkPlugin[]
}

function pluginProblem(plugin: unknown): string | undefined {
  if (typeof plugin !== 'object' || plugin === null) return `is ${describeValue(plugin)}`
  const name = property(plugin, 'name')
  if (typeof name !== 'string') return `has the name ${describeValue(name)}`
  const missing = methods.filter((method) => typeof property(plugin, method) !== 'function')
  if (missing.length > 0) return `("${name}") lacks the method ${missing.join(', ')}`
  const wrong = optionalMethods.filter(
    (method) => !['function', 'undefined'].includes(typeof property(plugin, method)),
  )
  return wrong.length > 0
    ? `("${name}") has something that is not a method as ${wrong.join(', ')}`
    : undefined
}

function property(value: unknown, key: string): unknown {
  return (typeof value === 'object' && value !== null) || typeof value === 'function'
    ? Reflect.get(value, key)
    : undefined
}
