import { mkdir } from 'node:fs/promises'
import {
  API_VERSION,
  Capability,
  type CapabilityName,
  describeValue,
  hasCapabilities,
  messageOf,
  NET_PLUGIN_EVENT_POD_CIDR_CHANGE,
  NET_PLUGIN_EVENT_POD_CIDR_CHANGE_DETAIL_CIDR,
  type NetworkPlugin,
  type PluginModule,
} from '@podwire/api'
import { type FakeHost, fakeHost } from '../fake-host.ts'
import { recordingLogger } from '../recording-logger.ts'
import type { Target } from './messages.ts'
import type { LoadPlugin } from './options.ts'

/** Imports the package; what it returns has not been looked at. */
export async function importTarget({ dir, module, loader, isolation }: Target): Promise<unknown> {
  if (loader !== undefined) {
    // The option says what the module exports.
    const { loadPlugin } = (await import(loader)) as { loadPlugin: LoadPlugin }
    return loadPlugin(dir, { isolation })
  }
  if (module === undefined) throw new Error('its package.json names nothing to import')
  const exports: { default?: unknown } = await import(module)
  return exports.default
}

/** What is wrong with the module that a package exports; undefined where nothing is. */
export function moduleProblem(module: unknown): string | undefined {
  if (typeof module !== 'object' || module === null) return `the default export is ${describeValue(module)}`
  const { apiVersion, probe, options } = module as Partial<PluginModule>
  if (apiVersion !== API_VERSION)
    return `its apiVersion is ${describeValue(apiVersion)}, expected ${API_VERSION}`
  if (typeof probe !== 'function') return `its probe is ${describeValue(probe)}, expected a function`
  if (options !== undefined && typeof options?.['~standard']?.validate !== 'function')
    return 'its options are not a Standard Schema (zod, valibot, arktype …)'
  return undefined
}

/** The options of the target as the package's schema returns them; rejects with its issues. */
export async function parseTargetOptions(module: PluginModule, { options }: Target): Promise<unknown> {
  if (!module.options) return undefined
  const result = await module.options['~standard'].validate(options ?? {})
  if (!result.issues) return result.value
  const issues = result.issues.map(({ message, path = [] }) => {
    const keys = path.map((key) => String(typeof key === 'object' ? key.key : key))
    return `${keys.join('.') || 'options'}: ${message}`
  })
  throw new Error(issues.join('; '))
}

/** Asks the package for its plugins, as a host that starts. */
export async function probeTarget(module: PluginModule, target: Target): Promise<NetworkPlugin[]> {
  const { dir: configDir, stateDir } = target
  const options = await parseTargetOptions(module, target)
  return module.probe({ options, configDir, stateDir, log: recordingLogger() })
}

/** The plugin to test, of those offered. */
export function chooseTarget(plugins: readonly NetworkPlugin[], { plugin: name }: Target): NetworkPlugin {
  const chosen = plugins.find((plugin) => name === undefined || plugin.name === name)
  if (chosen) return chosen
  const names = plugins.map((plugin) => plugin.name).join(', ') || 'none'
  throw new Error(
    name === undefined ? 'it offers no plugin' : `it offers no plugin "${name}", only: ${names}`,
  )
}

/** A plugin that was initialised and knows its pod CIDR, and the host that it was given. */
export interface Started {
  readonly plugin: NetworkPlugin
  readonly host: FakeHost
}

export async function startPlugin(plugin: NetworkPlugin, target: Target): Promise<Started> {
  const host = fakeHost()
  await mkdir(target.stateDir.replace(/\/[^/]*$/, ''), { recursive: true })
  await plugin.init(host, { hairpinMode: 'none', nonMasqueradeCIDR: '10.0.0.0/8', mtu: 0 })
  await plugin.event(NET_PLUGIN_EVENT_POD_CIDR_CHANGE, podCidrDetails(plugin, target))
  return { plugin, host }
}

/** The details of the event that tells a plugin its pod CIDR. */
export function podCidrDetails(plugin: NetworkPlugin, { podCIDR }: Target) {
  const both = can(plugin, 'dualStack') ? '10.213.0.0/24,fd00:213::/64' : '10.213.0.0/24'
  return { [NET_PLUGIN_EVENT_POD_CIDR_CHANGE_DETAIL_CIDR]: podCIDR ?? both }
}

export function can(plugin: NetworkPlugin, capability: CapabilityName): boolean {
  return hasCapabilities(plugin.capabilities(), Capability[capability])
}

/** `Error: message`, or what else was thrown. */
export function describeThrown(thrown: unknown): string {
  return thrown instanceof Error ? messageOf(thrown) : `${describeValue(thrown)}, which is not an Error`
}
