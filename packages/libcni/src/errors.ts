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
  readonly exitCode?: number | undefined
  readonly signal?: string | undefined
  /** The last lines of stderr, at most 2 KiB. */
  readonly stderr: string
}

/**
 * Every error of this package. `code` is stable and begins with `ERR_CNI_`; `cniCode` is the spec's number where there
 * is one: the plugin's own for `ERR_CNI_PLUGIN_FAILED`. Compare `code`, not the class.
 */
export class CniError extends Error {
  override readonly name = 'CniError'
  readonly code: string
  readonly cniCode: number
  /** The values the message is made of; a {@link PluginFailure} where a plugin ran. */
  readonly details: Readonly<Record<string, unknown>>

  constructor(
    code: string,
    cniCode: number,
    message: string,
    details: Record<string, unknown> | PluginFailure = {},
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.cniCode = cniCode
    this.details = { ...details }
  }
}

/** An error for a CNI plugin to throw: its code, message and details reach the runtime as they are. */
export const pluginError = (cniCode: number, message: string, details = '') =>
  new CniError('ERR_CNI_PLUGIN', cniCode, message, details === '' ? {} : { details })

/** Text that should be JSON and isn't, or JSON deeper than anyone needs. */
export const badJson = (what: string, problem: string, cause?: unknown) =>
  new CniError('ERR_CNI_JSON', CniCode.decodingFailure, `${what}: ${problem}`, { what, problem }, cause)

/** A network configuration that breaks the rules. */
export const badConfig = (source: string, problem: string, cause?: unknown) =>
  new CniError(
    'ERR_CNI_CONFIG',
    CniCode.invalidConfig,
    `error parsing ${source}: ${problem}`,
    { source, problem },
    cause,
  )

/** A configuration file that can't be read. */
export const unreadableConfig = (path: string, cause: unknown) =>
  new CniError(
    'ERR_CNI_CONFIG_READ',
    CniCode.ioFailure,
    `error reading ${path}: ${reason(cause)}`,
    { path },
    cause,
  )

/** There are configurations, but none of this name. */
export const networkNotFound = (directory: string, name: string, errors: readonly unknown[]) =>
  new CniError(
    'ERR_CNI_NETWORK_NOT_FOUND',
    CniCode.invalidConfig,
    `no net configuration with name "${name}" in ${directory}${skipped(errors)}`,
    { directory, name, errors },
  )

/** The directory is empty or absent. */
export const noNetworks = (directory: string, errors: readonly unknown[]) =>
  new CniError(
    'ERR_CNI_NO_NETWORKS',
    CniCode.invalidConfig,
    `no net configurations found in ${directory}${skipped(errors)}`,
    { directory, errors },
  )

/** A container ID, interface name or argument that no plugin may see. */
export const badArgument = (cniCode: number, problem: string, value: unknown) =>
  new CniError('ERR_CNI_ARGUMENT', cniCode, `${problem}: ${show(value)}`, { problem, value })

/** A version that isn't one, or that this library doesn't speak. */
export const badVersion = (problem: string, version: string) =>
  new CniError('ERR_CNI_VERSION', CniCode.incompatibleVersion, problem, { version })

/** A result that breaks the spec, or that an older version can't hold. */
export const badResult = (problem: string) =>
  new CniError('ERR_CNI_RESULT', CniCode.decodingFailure, problem, { problem })

/** A plugin's type that can't be the name of a file in a directory. */
export const badPluginName = (plugin: string) =>
  new CniError('ERR_CNI_PLUGIN_NAME', CniCode.invalidConfig, `invalid plugin name: ${show(plugin)}`, {
    plugin,
  })

/** No such binary in any plugin directory. */
export const pluginNotFound = (plugin: string, path: readonly string[]) =>
  new CniError(
    'ERR_CNI_PLUGIN_NOT_FOUND',
    CniCode.invalidConfig,
    `failed to find plugin "${plugin}" in path [${path.join(' ')}]`,
    { plugin, path },
  )

/** The binary is there but can't be run. */
export const notStarted = (path: string, failure: PluginFailure, cause: unknown) =>
  new CniError(
    'ERR_CNI_PLUGIN_START',
    CniCode.internal,
    describe(failure, `can't start ${path}: ${reason(cause)}`),
    { ...failure, path },
    cause,
  )

/** A plugin ran and said no, or broke off. */
export const pluginFailed = (
  cniCode: number,
  problem: string,
  failure: PluginFailure,
  extra: { pluginMessage?: string; pluginDetails?: string } = {},
) =>
  new CniError('ERR_CNI_PLUGIN_FAILED', cniCode, describe(failure, problem), {
    ...failure,
    problem,
    ...extra,
  })

/** A plugin succeeded but what it printed is no answer. */
export const badOutput = (problem: string, failure: PluginFailure, cause?: unknown) =>
  new CniError(
    'ERR_CNI_PLUGIN_OUTPUT',
    CniCode.decodingFailure,
    describe(failure, problem),
    { ...failure, problem },
    cause,
  )

/** The deadline passed, or the caller aborted; the plugin and its children were killed. */
export const interrupted = (deadlineMs: number | undefined, failure: PluginFailure, cause: unknown) =>
  deadlineMs === undefined
    ? new CniError('ERR_CNI_ABORTED', CniCode.internal, describe(failure, 'aborted'), { ...failure }, cause)
    : new CniError(
        'ERR_CNI_DEADLINE',
        CniCode.tryAgainLater,
        describe(failure, `no answer within the deadline of ${deadlineMs} ms`),
        { ...failure, deadlineMs },
        cause,
      )

/** Another operation on the same attachment took longer than this one could wait. */
export const gaveUpWaiting = (entry: string, deadlineMs: number | undefined, cause: unknown) =>
  deadlineMs === undefined
    ? new CniError(
        'ERR_CNI_ABORTED',
        CniCode.internal,
        `aborted while another operation held ${entry}`,
        { entry },
        cause,
      )
    : new CniError(
        'ERR_CNI_DEADLINE',
        CniCode.tryAgainLater,
        `another operation held ${entry} for the whole deadline of ${deadlineMs} ms; try again when it is through`,
        { entry, deadlineMs },
        cause,
      )

/** A cache entry that can't be read or written. */
export const cacheFailed = (problem: string, path: string, cause: unknown) =>
  new CniError(
    'ERR_CNI_CACHE',
    CniCode.ioFailure,
    `${problem}: ${path}: ${reason(cause)}`,
    { path, problem },
    cause,
  )

/** CHECK needs 0.4.0. */
export const checkUnsupported = (version: string) =>
  new CniError(
    'ERR_CNI_CHECK_UNSUPPORTED',
    CniCode.incompatibleVersion,
    `configuration version "${version}" does not support the CHECK command`,
    { version },
  )

/** The plugin doesn't speak the configuration's version. */
export const versionUnsupported = (plugin: string, version: string, supported: readonly string[]) =>
  new CniError(
    'ERR_CNI_VERSION_UNSUPPORTED',
    CniCode.incompatibleVersion,
    `plugin ${plugin} does not support config version "${version}"; it supports ${supported.join(', ')}`,
    { plugin, version, supported },
  )

/** A list without plugins has nothing to add. */
export const noResult = (network: string) =>
  new CniError('ERR_CNI_CONFIG', CniCode.invalidConfig, `network ${network} has no plugins`, { network })

/** ADD failed; what its roll-back could not undo is in `details.rollbackErrors`, and in the message. */
export function addFailed(error: unknown, rollbackErrors: readonly unknown[]): unknown {
  if (rollbackErrors.length === 0 || !isCniError(error)) return error
  return new CniError(
    error.code,
    error.cniCode,
    `${error.message}; undoing it failed too, run DEL again: ${rollbackErrors.map(reason).join('; ')}`,
    { ...error.details, rollbackErrors },
    error,
  )
}

/** Several failures of one operation: all in `details.errors`, and in the message. */
export const several = (operation: string, errors: readonly unknown[]) =>
  new CniError(
    'ERR_CNI_SEVERAL',
    errors.find(isCniError)?.cniCode ?? CniCode.internal,
    `${operation}: ${errors.map(reason).join('; ')}`,
    { operation, errors },
    errors[0],
  )

/** An error of this package, whichever copy of it made it. */
export function isCniError(error: unknown): error is CniError {
  return error instanceof Error && 'cniCode' in error && typeof error.cniCode === 'number'
}

/** What went wrong, in the words of whatever was thrown. */
export function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

// A value for a message: short, on one line, whatever it is.
function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 120 ? `${text.slice(0, 120)}…` : text
}

const skipped = (errors: readonly unknown[]) =>
  errors.length === 0
    ? ''
    : `; ${errors.length === 1 ? 'one file was' : `${errors.length} files were`} skipped: ${errors.map(reason).join('; ')}`

// Plugins pass on what the programs they run have printed.
const onOneLine = (text: string) => text.trim().replaceAll(/\s*[\r\n]+\s*/g, ' ')

function describe(failure: PluginFailure, problem: string): string {
  const { plugin, network, command, exitCode, signal, durationMs, stderr } = failure
  const ending = signal ? `${signal} ` : exitCode ? `exit status ${exitCode} ` : ''
  const said = stderr === '' || problem.includes(JSON.stringify(stderr)) ? '' : `; stderr: ${show(stderr)}`
  const name = network === undefined ? '' : ` name=${JSON.stringify(network)}`
  return (
    `plugin type=${JSON.stringify(plugin)}${name} failed (${command.toLowerCase()}): ${onOneLine(problem)} ` +
    `(${ending}after ${Math.round(durationMs)} ms${said})`
  )
}
