import {
  defineErrors,
  describeValue,
  messageOf,
  PodwireError,
  type PodwireErrorInit,
  printable,
} from '@podwire/api'

/** The spec's numeric codes, by what they mean. */
export const CniCode = {
  incompatibleVersion: 1,
  unsupportedField: 2,
  unknownContainer: 3,
  invalidEnvironment: 4,
  ioFailure: 5,
  decodingFailure: 6,
  invalidConfig: 7,
  invalidNamespace: 8,
  tryAgainLater: 11,
  notAvailable: 50,
  limitedConnectivity: 51,
  internal: 999,
} as const

/** What a failed plugin left behind: who it was, how it ended, what it said. */
export interface PluginFailure {
  readonly network?: string | undefined
  readonly plugin: string
  readonly command: string
  readonly durationMs: number
  /** The program could not be started, or an abort came first. */
  readonly neverRan?: true
  readonly exitCode?: number | undefined
  readonly signal?: string | undefined
  /** The last lines of stderr, at most 2 KiB. */
  readonly stderr: string
}

/**
 * Every error of this package. `code` is stable and begins with `ERR_CNI_`; `cniCode` is the spec's number where there
 * is one: the plugin's own for `ERR_CNI_PLUGIN_FAILED`. Compare `code`, not the class. `details` holds the values that the
 * message is made of; a {@link PluginFailure} where a plugin ran.
 */
export class CniError extends PodwireError {
  readonly cniCode: number

  constructor(init: PodwireErrorInit, cniCode: number) {
    super(init)
    this.name = 'CniError'
    this.cniCode = cniCode
  }
}

interface AttachmentOwner {
  readonly network: string
  readonly containerId: string
}

/** All that can go wrong here. */
export const errors = defineErrors(
  {
    // Configurations
    ERR_CNI_JSON: {
      cniCode: CniCode.decodingFailure,
      message: ({ what, problem }: { what: string; problem: string }) => `${what}: ${problem}`,
    },
    ERR_CNI_CONFIG: {
      cniCode: CniCode.invalidConfig,
      exitCode: 2,
      message: ({ source, problem }: { source: string; problem: string }) =>
        `error parsing ${source}: ${problem}`,
    },
    ERR_CNI_CONFIG_READ: {
      cniCode: CniCode.ioFailure,
      message: ({ path }: { path: string }, cause: unknown) => `error reading ${path}: ${messageOf(cause)}`,
    },
    ERR_CNI_NETWORK_NOT_FOUND: {
      cniCode: CniCode.invalidConfig,
      exitCode: 2,
      message: ({
        directory,
        name,
        errors,
      }: {
        directory: string
        name: string
        errors: readonly unknown[]
      }) => `no net configuration with name "${name}" in ${directory}${skipped(errors)}`,
    },
    ERR_CNI_NO_NETWORKS: {
      cniCode: CniCode.invalidConfig,
      exitCode: 2,
      message: ({ directory }: { directory: string }) => `no net configurations found in ${directory}`,
      remedy: 'Put a .conflist there.',
    },

    // What an operation is given
    ERR_CNI_ARGUMENT: {
      message: ({ problem, value }: { problem: string; value: unknown; cniCode: number }) =>
        `${problem}: ${describeValue(value)}`,
    },
    ERR_CNI_VERSION: {
      cniCode: CniCode.incompatibleVersion,
      message: ({ version }: { version: string }) => `invalid version ${describeValue(version)}`,
      remedy: 'Expected MAJOR.MINOR.PATCH, such as 1.0.0.',
    },
    ERR_CNI_CHECK_UNSUPPORTED: {
      cniCode: CniCode.incompatibleVersion,
      message: ({ version }: { version: string }) =>
        `configuration version "${version}" does not support the CHECK command`,
      remedy: 'CHECK exists since 0.4.0.',
    },
    ERR_CNI_INTERFACE_EXISTS: {
      cniCode: CniCode.invalidEnvironment,
      message: ({ netns, ifName, owner }: { netns: string; ifName: string; owner?: AttachmentOwner }) =>
        `interface ${ifName} is in ${netns} already${owner ? `, as container ${owner.containerId}'s attachment to network ${owner.network}` : ''}; nothing was changed`,
      remedy: ({ owner }) =>
        owner
          ? 'Run DEL for that attachment first, or give this one another interface name.'
          : 'Give this attachment another interface name, or remove the interface first.',
    },
    ERR_CNI_NETNS: {
      cniCode: CniCode.invalidNamespace,
      message: ({ netns }: { netns: string; isMissing: boolean }, cause: unknown) =>
        `can't see which interfaces are in ${netns}: ${messageOf(cause)}`,
      remedy: ({ isMissing }) =>
        isMissing ? 'Install @podwire/netlink, or the programs nsenter and ip.' : undefined,
    },

    // Plugins
    ERR_CNI_PLUGIN_NAME: {
      cniCode: CniCode.invalidConfig,
      message: ({ plugin }: { plugin: string }) => `invalid plugin name: ${describeValue(plugin)}`,
      remedy: "A type is the name of a file in a plugin directory, without '/'.",
    },
    ERR_CNI_PLUGIN_NOT_FOUND: {
      cniCode: CniCode.invalidConfig,
      message: ({ plugin, path }: { plugin: string; path: readonly string[] }) =>
        `failed to find plugin "${plugin}" in path [${path.join(' ')}]`,
    },
    ERR_CNI_PLUGIN_START: {
      message: (failure: PluginFailure & { path: string }, cause: unknown) =>
        describeFailure(failure, `can't start ${failure.path}: ${messageOf(cause)}`),
    },
    /** A plugin ran and reported an error, or ended without a word. */
    ERR_CNI_PLUGIN_FAILED: {
      message: (
        failure: PluginFailure & {
          problem: string
          cniCode: number
          pluginMessage?: string
          pluginDetails?: string
        },
      ) => describeFailure(failure, failure.problem),
    },
    /** A plugin succeeded, but what it printed can't be understood. */
    ERR_CNI_PLUGIN_OUTPUT: {
      cniCode: CniCode.decodingFailure,
      message: (failure: PluginFailure & { problem: string }) => describeFailure(failure, failure.problem),
    },
    ERR_CNI_VERSION_UNSUPPORTED: {
      cniCode: CniCode.incompatibleVersion,
      message: ({
        plugin,
        version,
        supported,
      }: {
        plugin: string
        version: string
        supported: readonly string[]
      }) =>
        `plugin ${plugin} does not support config version "${version}"; it supports ${supported.join(', ')}`,
    },
    /** Thrown by a plugin's author; its text goes to the runtime as it is. */
    ERR_CNI_PLUGIN: {
      message: ({ message }: { message: string; details?: string; cniCode: number }) => message,
    },

    // Results and the cache
    ERR_CNI_RESULT: {
      cniCode: CniCode.decodingFailure,
      message: ({ problem }: { problem: string }) => problem,
    },
    ERR_CNI_CACHE: {
      cniCode: CniCode.ioFailure,
      message: ({ problem, path }: { problem: string; path: string }, cause: unknown) =>
        `${problem}: ${path}${cause === undefined ? '' : `: ${messageOf(cause)}`}`,
    },

    // Time
    /** The deadline passed; the plugin and its children were killed, or it was never this operation's turn. */
    ERR_CNI_DEADLINE: {
      cniCode: CniCode.tryAgainLater,
      message: (about: ({ deadlineMs: number } & PluginFailure) | { deadlineMs: number; lock: string }) =>
        'lock' in about
          ? `another operation on ${about.lock} took the whole deadline of ${about.deadlineMs} ms`
          : describeFailure(about, `no answer within the deadline of ${about.deadlineMs} ms`),
      remedy: (about) => ('lock' in about ? 'Try again when it has ended.' : undefined),
    },
    /** The caller's signal came. */
    ERR_CNI_ABORTED: {
      message: (about: PluginFailure | { lock: string }) =>
        'lock' in about
          ? `aborted while waiting for another operation on ${about.lock}`
          : describeFailure(about, 'aborted'),
    },

    /** Several failures of one operation. */
    ERR_CNI_SEVERAL: {
      message: ({ operation, errors }: { operation: string; errors: readonly unknown[]; cniCode: number }) =>
        `${operation}: ${errors.map(messageOf).join('; ')}`,
    },
  },
  // The spec's number; where it differs from case to case, the details hold it.
  (init, { cniCode }: { readonly cniCode?: number }) =>
    new CniError(init, cniCode ?? numberIn(init) ?? CniCode.internal),
)

/** An error for a CNI plugin to throw: its code, message and details reach the runtime as they are. */
export const pluginError = (cniCode: number, message: string, details = ''): CniError =>
  errors.ERR_CNI_PLUGIN({ message, cniCode, ...(details === '' ? {} : { details }) })

/** A network configuration that breaks the rules. */
export const badConfig = (source: string, problem: string, cause?: unknown): CniError =>
  errors.ERR_CNI_CONFIG({ source, problem }, cause)

/** A name or an argument that no plugin may see. */
export const badArgument = (cniCode: number, problem: string, value: unknown): CniError =>
  errors.ERR_CNI_ARGUMENT({ problem, value, cniCode })

/** A result that breaks the spec, or that an older version can't hold. */
export const badResult = (problem: string): CniError => errors.ERR_CNI_RESULT({ problem })

/** Several failures of one operation, with the code of the first that has one. */
export const several = (operation: string, failures: readonly unknown[]): CniError =>
  errors.ERR_CNI_SEVERAL(
    { operation, errors: failures, cniCode: failures.find(isCniError)?.cniCode ?? CniCode.internal },
    failures[0],
  )

/** What ADD failed with; what its roll-back could not undo is in `details.rollbackErrors`, and in the message. */
export function addFailed(error: unknown, rollbackErrors: readonly unknown[]): unknown {
  if (rollbackErrors.length === 0 || !isCniError(error)) return error
  const { code, details, exitCode, cniCode } = error
  const message = `${error.message}; undoing it failed too, run DEL again: ${rollbackErrors.map(messageOf).join('; ')}`
  return new CniError(
    { code, message, details: { ...details, rollbackErrors }, exitCode, cause: error },
    cniCode,
  )
}

/** An error of this package, whichever copy of it made it. */
export function isCniError(error: unknown): error is CniError {
  return error instanceof Error && 'cniCode' in error && typeof error.cniCode === 'number'
}

function numberIn({ details }: PodwireErrorInit): number | undefined {
  const cniCode = details?.['cniCode']
  return typeof cniCode === 'number' ? cniCode : undefined
}

const skipped = (errors: readonly unknown[]) =>
  errors.length === 0
    ? ''
    : `; ${errors.length === 1 ? 'one file was' : `${errors.length} files were`} skipped: ${errors.map(messageOf).join('; ')}`

// Plugins pass on what the programs they run have printed.
const onOneLine = (text: string) => text.trim().replaceAll(/\s*[\r\n]+\s*/g, ' ')

function describeFailure(failure: PluginFailure, problem: string): string {
  const { plugin, network, command, exitCode, signal, durationMs, stderr } = failure
  const ending = signal ? `${signal} ` : exitCode ? `exit status ${exitCode} ` : ''
  const said =
    stderr === '' || problem.includes(JSON.stringify(stderr)) ? '' : `; stderr: ${describeValue(stderr)}`
  const name = network === undefined ? '' : ` name=${JSON.stringify(network)}`
  return (
    `plugin type=${JSON.stringify(plugin)}${name} failed (${command.toLowerCase()}): ${printable(onOneLine(problem))} ` +
    `(${ending}after ${Math.round(durationMs)} ms${said})`
  )
}
