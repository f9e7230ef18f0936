import {
  defineErrors,
  describeCapabilities,
  describeValue,
  isPodwireError,
  messageOf,
  type PodRef,
  packageNameOfPlugin,
  podKey,
  printable,
} from '@podwire/api'
import { nearest } from './nearest.ts'

/** Something wrong with a configuration, and where: `discovery.paths[0]`. */
export interface ConfigProblem {
  readonly path: string
  readonly message: string
}

interface InvalidConfig {
  readonly file: string | undefined
  readonly problems: readonly ConfigProblem[]
  /** The state directory that it names, where it does: what is set up can be torn down all the same. */
  readonly stateDir?: string
}

/** Which package, for the errors about it. */
export interface PackageLabel {
  readonly packageName: string
  readonly version: string
  readonly dir: string
}

type PodName = { readonly namespace: string; readonly name: string }

/** All that this package can say. What the user wrote wrongly exits with 2. */
export const errors = defineErrors({
  // Configuration
  CONFIG_NOT_FOUND: {
    message: ({ file }: { file: string }) => `No configuration at ${file}`,
    remedy: 'Give the path of an existing file, or write one with: podwire init',
    exitCode: 2,
  },
  CONFIG_UNREADABLE: {
    message: ({ file, reason }: { file: string; reason: string }) => `${file}: ${reason}`,
    exitCode: 2,
  },
  CONFIG_INVALID: {
    message: ({ file, problems }: InvalidConfig) =>
      `${file ?? 'The configuration'}: ${problems.map(asLine).join('; ')}`,
    exitCode: 2,
  },
  UNTRUSTED: {
    message: (about: { path: string; at: string; uid: number; mode: string; what: string }) =>
      `${about.path}: ${about.what} would run as root, and ${about.at} belongs to user ${about.uid} with mode ${about.mode}, so that others than root could have written it`,
    remedy: ({ at }) =>
      `If you trust who did: --trust ${at}. Else: chown -R root ${at} && chmod -R go-w ${at}`,
    exitCode: 2,
  },

  POLICY_FILE: {
    message: ({ file, reason }: { file: string; reason: string }) => `policy ${printable(file)}: ${reason}`,
    exitCode: 2,
  },
  POLICY_NEEDS_HOST: {
    message: ({ pod, name }: { pod: PodName; name: string }) =>
      `pod ${podKey(pod)} may reach "${name}" by name, for which somebody must answer its DNS as long as it lives, and this command ends at once`,
    remedy:
      'Start podwire daemon, which answers; or use podwire run, or a program with a host of its own; or allow addresses.',
    exitCode: 2,
  },

  // Plugins: finding and loading
  PLUGIN_NOT_FOUND: {
    message: ({ name, available }: { name: string; available: readonly string[] }) =>
      `Network plugin "${name}" not found. There is: ${available.join(', ') || 'none'}`,
    remedy: ({ name, available }) => {
      const guess = nearest(name, available)
      if (guess) return `Did you mean "${guess}"?`
      const install = packageToInstall(name)
      return install && `If it is a package: npm install ${install}`
    },
    exitCode: 2,
  },
  INVALID_PLUGIN_NAME: {
    message: ({ name, problems }: { name: string; problems: readonly string[] }) =>
      `network plugin has invalid name: ${describeValue(name)}: ${problems.join('; ')}`,
    exitCode: 2,
  },
  DUPLICATE_PLUGIN_NAME: {
    message: ({ name }: { name: string }) => `network plugin "${name}" was registered more than once`,
    exitCode: 2,
  },
  PLUGIN_PACKAGE_REJECTED: {
    message: (about: { name: string; dir: string; reason: string }) =>
      `Network plugin "${about.name}" is in a package that was rejected (${about.dir}): ${about.reason}`,
    exitCode: 2,
  },
  PLUGIN_IMPORT_FAILED: {
    message: (from: PackageLabel, cause: unknown) => `${label(from)} failed to load: ${messageOf(cause)}`,
  },
  PLUGIN_BAD_EXPORT: {
    message: ({ problem, ...from }: PackageLabel & { problem: string }) => `${label(from)}: ${problem}`,
    remedy: 'Its default export must be definePlugin({ apiVersion: 1, probe }).',
  },
  PLUGIN_OPTIONS_INVALID: {
    message: ({ key, problems }: { key: string; problems: readonly ConfigProblem[] }) =>
      `The configuration of a plugin is wrong: ${problems
        .map(({ path, message }) => `plugins[${JSON.stringify(key)}]${path ? `.${path}` : ''}: ${message}`)
        .join('; ')}`,
    exitCode: 2,
  },
  PLUGIN_PROBE_FAILED: {
    message: (from: PackageLabel, cause: unknown) => `${label(from)}: its probe failed: ${messageOf(cause)}`,
  },

  // Plugins: running
  PLUGIN_ALREADY_INITIALISED: {
    message: ({ name }: { name: string }) =>
      `Network plugin "${name}" was initialised before: a plugin serves one host`,
    remedy: 'Probe its package again for another host.',
  },
  PLUGIN_INIT_FAILED: {
    message: ({ name }: { name: string }, cause: unknown) =>
      `Network plugin "${name}" failed init: ${messageOf(cause)}`,
  },
  DEADLINE_EXCEEDED: {
    message: ({ what, ms }: { what: string; ms: number }, cause: unknown) =>
      `${what}: not done within ${formatMs(ms)}${cause === undefined ? '' : ` (${messageOf(cause)})`}`,
  },
  PLUGIN_OPERATION_FAILED: {
    message: (
      about: { plugin: string; operation: string; pod: PodRef | undefined; durationMs: number },
      cause: unknown,
    ) => {
      const target = about.pod ? ` pod "${about.pod.name}_${about.pod.namespace}" network` : ''
      return `networkPlugin ${about.plugin} failed to ${about.operation}${target} after ${formatMs(about.durationMs)}: ${messageOf(cause)}`
    },
    // A pod CIDR that can't be used is a wrong configuration, whoever looked at it.
    exitCode: (cause) => (isPodwireError(cause) ? cause.exitCode : 1),
  },
  BAD_PLUGIN_RESULT: {
    message: (about: { plugin: string; operation: string; returned: unknown; problem: string }) =>
      `Network plugin "${about.plugin}" returned ${describeValue(about.returned)} from ${about.operation}: ${about.problem}`,
  },
  PLUGIN_CRASHED: {
    message: ({ plugin, how }: { plugin: string; pid: number | undefined; how: string }) =>
      `The process of network plugin "${plugin}" crashed: ${printable(how)}`,
    remedy: 'Its output is in the log.',
  },
  PLUGIN_QUARANTINED: {
    message: (about: { plugin: string; crashes: number; windowMs: number }, cause: unknown) =>
      `Network plugin "${about.plugin}" stays down, as it crashed ${about.crashes} times within ${about.windowMs / 60_000} minutes; the last time: ${messageOf(cause)}`,
    remedy: ({ plugin }) => `When it is mended, start it again: podwire plugins reset ${plugin}`,
  },
  PLUGIN_STOPPED: {
    message: ({ plugin }: { plugin: string }) =>
      `Network plugin "${plugin}" was stopped, as its host was closed`,
  },
  PLUGIN_MESSAGE_TOO_LARGE: {
    message: ({ bytes, limit }: { bytes: number; limit: number }) =>
      `A message of ${bytes} bytes is too large to pass between a host and an isolated plugin; at most ${limit} bytes can`,
  },
  MISSING_CAPABILITY: {
    message: (about: { pod: PodName; plugin: string; missing: number; capable: readonly string[] }) =>
      `Pod ${podKey(about.pod)} needs ${describeCapabilities(about.missing).join(', ')}, which network plugin "${about.plugin}" doesn't do`,
    remedy: ({ capable }) =>
      capable.length > 0
        ? `Installed plugins that can: ${capable.join(', ')}.`
        : 'No other installed plugin can.',
    exitCode: 2,
  },

  // Sandboxes
  INVALID_POD: {
    message: ({ problems }: { pod: object; problems: readonly string[] }) =>
      `Not a pod that can be set up: ${problems.join('; ')}`,
    exitCode: 2,
  },
  POD_EXISTS: {
    message: ({ pod }: { pod: PodName }) => `Pod ${podKey(pod)} is set up already`,
    remedy: ({ pod }) =>
      `Take another name, or tear it down first: podwire down ${podKey(pod)}, or run with --replace.`,
    exitCode: 2,
  },
  NO_ADDRESS: {
    message: ({ pod, plugin }: { pod: PodName; plugin: string }, cause: unknown) =>
      `Pod ${podKey(pod)} has no address after network plugin "${plugin}" set it up: ${messageOf(cause)}`,
    remedy: 'If that is meant, ask for it with allowNoAddress.',
  },
  UNKNOWN_SANDBOX: {
    message: ({ sandboxId }: { sandboxId: string }) => `This host has no sandbox ${describeValue(sandboxId)}`,
    remedy: 'Set its pod up first.',
  },
  UNKNOWN_POD: {
    message: ({ pod }: { pod: PodName }) => `This host has no pod ${podKey(pod)}`,
    remedy: 'See what there is with: podwire ps',
  },
  SANDBOX_ID_TAKEN: {
    message: (about: { pod: PodName; sandboxId: string; owner: string }) =>
      `Pod ${podKey(about.pod)} can't have the sandbox id ${describeValue(about.sandboxId)}: pod ${about.owner} has it`,
    remedy: 'Give another one, or none.',
    exitCode: 2,
  },
  NOT_A_NETNS: {
    message: ({ path }: { path: string }) => `${printable(path)} is not a network namespace`,
    remedy: 'Give a path such as /run/netns/NAME, or /proc/PID/ns/net of a live process.',
    exitCode: 2,
  },
  OWN_NETNS: {
    message: ({ path }: { path: string }) =>
      `${printable(path)} is the host's own network namespace: a pod in there would take the host's place`,
    exitCode: 2,
  },
  NETNS_EXISTS: {
    message: ({ path }: { path: string }) =>
      `${path} is there already, and no record of this host speaks of it: another state directory's host made it, or the record was deleted`,
    remedy: ({ path }) => `If nothing uses it: ip netns delete ${path.split('/').at(-1)}`,
  },
  NETNS_CONFLICT: {
    message: (about: { pod: PodName; netns: string; asked: string }) =>
      `Pod ${podKey(about.pod)} is set up in ${about.netns}, not in ${printable(about.asked)}`,
    remedy: ({ pod }) => `Tear it down first: podwire down ${podKey(pod)}`,
  },
  NETNS_GONE: {
    message: ({ pod, netns }: { pod: PodName; netns: string }) =>
      `The network namespace of pod ${podKey(pod)} is gone: what is at ${netns} now is not the one that was set up`,
    remedy: ({ pod }) => `Set the pod up again: podwire up ${podKey(pod)}`,
  },
  PROCESSES_REMAIN: {
    message: ({ pod, pids }: { pod: PodName; pids: readonly number[] }) =>
      `Pod ${podKey(pod)}: processes in its sandbox can't be killed: ${pids.join(', ')}`,
    remedy: 'They most likely wait for a device or a file system; end them and tear the pod down again.',
  },
  POD_LOCKED: {
    message: ({ pod, holder, waitedMs }: { pod: string; holder: string; waitedMs: number }) =>
      `Pod ${pod}: another process works on it, for ${formatMs(waitedMs)} by now: ${printable(holder)}`,
    remedy: 'Wait for it, or end it.',
  },

  // State
  STATE_UNUSABLE: {
    message: ({ path }: { path: string }, cause: unknown) =>
      `Can't use the state at ${path}: ${messageOf(cause)}`,
    remedy: 'Run as root, or give a directory of yours with --state-dir.',
  },
  STATE_UNSAFE: {
    message: ({ path, problem }: { path: string; problem: string }) =>
      `The state directory ${path} can't be trusted: ${problem}`,
    remedy: 'Others could make this host delete or overwrite files. Give a directory that is yours alone.',
    exitCode: 2,
  },
  STATE_LOCKED: {
    message: ({ path, holder }: { path: string; holder: string }) =>
      `A daemon works on the state directory ${path} already: ${printable(holder)}`,
    remedy: 'Use that one, or end it first; another daemon needs a state directory of its own: --state-dir.',
  },
  STATE_ELSEWHERE: {
    message: ({ path, pods }: { path: string; pods: number }) =>
      `The state directory ${path} holds ${pods} pod(s) of a host in another network namespace`,
    remedy:
      'Run this command where that host runs, or give another directory with --state-dir; if that network namespace is gone for good, remove the directory.',
  },
})

const firstParty = ['cni', 'exec', 'kubenet']

// Plugins of the kubelet's directory layout come through one package, whatever they are called.
function packageToInstall(pluginName: string): string | undefined {
  if (pluginName === 'kubernetes.io/no-op') return '@podwire/plugin-noop'
  if (firstParty.includes(pluginName)) return `@podwire/plugin-${pluginName}`
  try {
    return `${packageNameOfPlugin(pluginName)}. If it is an executable in the kubelet's directory layout: npm install @podwire/plugin-exec`
  } catch {
    return undefined
  }
}

function label({ packageName, version, dir }: PackageLabel): string {
  return `Plugin package ${packageName}@${version} (${dir})`
}

function asLine({ path, message }: ConfigProblem): string {
  return path ? `${path}: ${message}` : message
}

function formatMs(ms: number): string {
  if (ms < 10) return `${ms.toFixed(1)} ms`
  return ms < 10_000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`
}
