import {
  describeCapabilities,
  describeValue,
  messageOf,
  type PodRef,
  PodwireError,
  packageNameOfPlugin,
  podKey,
} from '@podwire/api'
import { nearest } from './nearest.ts'

// The table of all that this package can say: one function for each code. What the user wrote wrongly exits with 2.

const usage = 2

// Configuration

export function configNotFound({ file }: { file: string }) {
  return new PodwireError({
    code: 'CONFIG_NOT_FOUND',
    message: `No configuration at ${file}. Give the path of an existing file, or write one with: podwire init`,
    details: { file },
    exitCode: usage,
  })
}

export function configUnreadable({ file, reason, cause }: { file: string; reason: string; cause?: unknown }) {
  return new PodwireError({
    code: 'CONFIG_UNREADABLE',
    message: `${file}: ${reason}`,
    details: { file, reason },
    cause,
    exitCode: usage,
  })
}

export interface ConfigProblem {
  /** `discovery.paths[0]` */
  readonly path: string
  readonly message: string
}

export function configInvalid({
  file,
  problems,
}: {
  file: string | undefined
  problems: readonly ConfigProblem[]
}) {
  const lines = problems.map(({ path, message }) => (path ? `${path}: ${message}` : message))
  return new PodwireError({
    code: 'CONFIG_INVALID',
    message: `${file ?? 'The configuration'}: ${lines.join('; ')}`,
    details: { file, problems },
    exitCode: usage,
  })
}

// Plugins: finding and loading

const firstParty = ['cni', 'exec', 'kubenet']

export function pluginNotFound({ name, available }: { name: string; available: readonly string[] }) {
  const guess = nearest(name, available)
  const install = firstParty.includes(name) ? `@podwire/plugin-${name}` : installName(name)
  const hint = guess
    ? `Did you mean "${guess}"?`
    : install
      ? `If it is a package: npm install ${install}`
      : ''
  return new PodwireError({
    code: 'PLUGIN_NOT_FOUND',
    message:
      `Network plugin "${name}" not found. There is: ${available.join(', ') || 'none'}. ${hint}`.trim(),
    details: { name, available, nearest: guess, install },
    exitCode: usage,
  })
}

function installName(pluginName: string): string | undefined {
  try {
    return packageNameOfPlugin(pluginName)
  } catch {
    return undefined
  }
}

export function invalidPluginName({ name, problems }: { name: string; problems: readonly string[] }) {
  return new PodwireError({
    code: 'INVALID_PLUGIN_NAME',
    message: `network plugin has invalid name: "${name}": ${problems.join('; ')}`,
    details: { name, problems },
    exitCode: usage,
  })
}

export function duplicatePluginName({ name }: { name: string }) {
  return new PodwireError({
    code: 'DUPLICATE_PLUGIN_NAME',
    message: `network plugin "${name}" was registered more than once`,
    details: { name },
    exitCode: usage,
  })
}

/** Which package, for the errors about it. */
export interface PackageLabel {
  readonly packageName: string
  readonly version: string
  readonly dir: string
}

function label({ packageName, version, dir }: PackageLabel): string {
  return `Plugin package ${packageName}@${version} (${dir})`
}

export function pluginPackageRejected({ name, dir, reason }: { name: string; dir: string; reason: string }) {
  return new PodwireError({
    code: 'PLUGIN_PACKAGE_REJECTED',
    message: `Network plugin "${name}" is in a package that was rejected (${dir}): ${reason}`,
    details: { name, dir, reason },
    exitCode: usage,
  })
}

export function pluginImportFailed({ from, cause }: { from: PackageLabel; cause: unknown }) {
  return new PodwireError({
    code: 'PLUGIN_IMPORT_FAILED',
    message: `${label(from)} failed to load: ${messageOf(cause)}`,
    details: { ...from },
    cause,
  })
}

export function pluginBadExport({ from, problem }: { from: PackageLabel; problem: string }) {
  return new PodwireError({
    code: 'PLUGIN_BAD_EXPORT',
    message: `${label(from)}: ${problem}. Its default export must be definePlugin({ apiVersion: 1, probe }).`,
    details: { ...from, problem },
  })
}

export function pluginOptionsInvalid({ key, problems }: { key: string; problems: readonly ConfigProblem[] }) {
  const lines = problems.map(
    ({ path, message }) => `plugins[${JSON.stringify(key)}]${path ? `.${path}` : ''}: ${message}`,
  )
  return new PodwireError({
    code: 'PLUGIN_OPTIONS_INVALID',
    message: `The configuration of a plugin is wrong: ${lines.join('; ')}`,
    details: { key, problems },
    exitCode: usage,
  })
}

export function pluginProbeFailed({ from, cause }: { from: PackageLabel; cause: unknown }) {
  return new PodwireError({
    code: 'PLUGIN_PROBE_FAILED',
    message: `${label(from)}: its probe failed: ${messageOf(cause)}`,
    details: { ...from },
    cause,
  })
}

// Plugins: running

export function alreadyInitialised({ name }: { name: string }) {
  return new PodwireError({
    code: 'PLUGIN_ALREADY_INITIALISED',
    message: `Network plugin "${name}" was initialised before: a plugin serves one host. Probe its package again for another.`,
    details: { name },
  })
}

export function initialisationFailed({ name, cause }: { name: string; cause: unknown }) {
  return new PodwireError({
    code: 'PLUGIN_INIT_FAILED',
    message: `Network plugin "${name}" failed init: ${messageOf(cause)}`,
    details: { name },
    cause,
  })
}

export function deadlineExceeded({ what, ms, cause }: { what: string; ms: number; cause?: unknown }) {
  return new PodwireError({
    code: 'DEADLINE_EXCEEDED',
    message: `${what}: not done within ${formatMs(ms)}${cause === undefined ? '' : ` (${messageOf(cause)})`}`,
    details: { what, ms },
    cause,
  })
}

export function pluginOperationFailed({
  plugin,
  operation,
  pod,
  durationMs,
  cause,
}: {
  plugin: string
  operation: string
  pod: PodRef | undefined
  durationMs: number
  cause: unknown
}) {
  const target = pod ? ` pod "${pod.name}_${pod.namespace}" network` : ''
  return new PodwireError({
    code: 'PLUGIN_OPERATION_FAILED',
    message: `networkPlugin ${plugin} failed to ${operation}${target} after ${formatMs(durationMs)}: ${messageOf(cause)}`,
    details: { plugin, operation, pod, durationMs },
    cause,
  })
}

export function badPluginResult({
  plugin,
  operation,
  returned,
  problem,
}: {
  plugin: string
  operation: string
  returned: unknown
  problem: string
}) {
  return new PodwireError({
    code: 'BAD_PLUGIN_RESULT',
    message: `Network plugin "${plugin}" returned ${describeValue(returned)} from ${operation}: ${problem}`,
    details: { plugin, operation, problem },
  })
}

export function missingCapability({
  pod,
  plugin,
  missing,
  capable,
}: {
  pod: { namespace: string; name: string }
  plugin: string
  missing: number
  capable: readonly string[]
}) {
  const names = describeCapabilities(missing)
  const others =
    capable.length > 0 ? `Installed plugins that can: ${capable.join(', ')}.` : 'No installed plugin can.'
  return new PodwireError({
    code: 'MISSING_CAPABILITY',
    message: `Pod ${podKey(pod)} needs ${names.join(', ')}, which network plugin "${plugin}" doesn't do. ${others}`,
    details: { pod: podKey(pod), plugin, missing: names, capable },
    exitCode: usage,
  })
}

// Sandboxes

export function invalidPod({ pod, problems }: { pod: object; problems: readonly string[] }) {
  return new PodwireError({
    code: 'INVALID_POD',
    message: `Not a pod that can be set up: ${problems.join('; ')}`,
    details: { pod, problems },
    exitCode: usage,
  })
}

export function unknownSandbox({ sandboxId }: { sandboxId: string }) {
  return new PodwireError({
    code: 'UNKNOWN_SANDBOX',
    message: `This host has no sandbox ${describeValue(sandboxId)}. Set its pod up first.`,
    details: { sandboxId },
  })
}

export function unknownPod({ pod }: { pod: { namespace: string; name: string } }) {
  return new PodwireError({
    code: 'UNKNOWN_POD',
    message: `This host has no pod ${podKey(pod)}. See what there is with: podwire status`,
    details: { pod: podKey(pod) },
  })
}

export function notANetns({ path }: { path: string }) {
  return new PodwireError({
    code: 'NOT_A_NETNS',
    message: `${path} is not a network namespace. Give a path such as /run/netns/NAME or /proc/PID/ns/net of a live process.`,
    details: { path },
    exitCode: usage,
  })
}

export function ownNetns({ path }: { path: string }) {
  return new PodwireError({
    code: 'OWN_NETNS',
    message: `${path} is the host's own network namespace: a pod in there would take the host's place.`,
    details: { path },
    exitCode: usage,
  })
}

export function netnsExists({ path }: { path: string }) {
  return new PodwireError({
    code: 'NETNS_EXISTS',
    message: `${path} is there already, and no record of this host speaks of it: another state directory's host made it, or the record was deleted. If nothing uses it: ip netns delete ${path.split('/').at(-1)}`,
    details: { path },
  })
}

export function netnsConflict({
  pod,
  netns,
  asked,
}: {
  pod: { namespace: string; name: string }
  netns: string
  asked: string
}) {
  return new PodwireError({
    code: 'NETNS_CONFLICT',
    message: `Pod ${podKey(pod)} is set up in ${netns}, not in ${asked}. Take it down first: podwire down ${podKey(pod)}`,
    details: { pod: podKey(pod), netns, asked },
  })
}

export function stateUnusable({ path, cause }: { path: string; cause: unknown }) {
  return new PodwireError({
    code: 'STATE_UNUSABLE',
    message: `Can't use the state at ${path}: ${messageOf(cause)}. Run as root, or give a directory of yours as stateDir.`,
    details: { path },
    cause,
  })
}

function formatMs(ms: number): string {
  if (ms < 10) return `${ms.toFixed(1)} ms`
  return ms < 10_000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`
}
