import { isPodwireError, messageOf } from '@podwire/api'
import { CniCode, type CniError, isCniError, pluginError } from '@podwire/libcni/plugin'

// By the code of the error that is nearest to what happened. All others are 999.
const codes: Readonly<Record<string, number>> = {
  ADDRESSES_EXHAUSTED: CniCode.tryAgainLater,
  DAEMON_STOPPING: CniCode.tryAgainLater,
  DEADLINE_EXCEEDED: CniCode.tryAgainLater,
  OPERATION_ABORTED: CniCode.tryAgainLater,
  PLUGIN_CRASHED: CniCode.tryAgainLater,
  PLUGIN_QUARANTINED: CniCode.tryAgainLater,
  POD_CIDR_UNKNOWN: CniCode.tryAgainLater,
  POD_LOCKED: CniCode.tryAgainLater,
  POD_EXISTS: CniCode.invalidEnvironment,
  INTERFACE_TAKEN: CniCode.invalidEnvironment,
  INTERFACE_NAME_NOT_USABLE: CniCode.invalidEnvironment,
  ADDRESS_IN_USE: CniCode.invalidConfig,
  ADDRESS_NOT_USABLE: CniCode.invalidConfig,
  MAC_NOT_USABLE: CniCode.invalidConfig,
  INVALID_BANDWIDTH: CniCode.invalidConfig,
  INVALID_POD: CniCode.invalidConfig,
  MISSING_CAPABILITY: CniCode.unsupportedField,
  NETNS_GONE: CniCode.invalidNamespace,
  NOT_A_NETNS: CniCode.invalidNamespace,
  OWN_NETNS: CniCode.invalidNamespace,
  UNKNOWN_POD: CniCode.unknownContainer,
}

/** An error of the host as a runtime understands it; the host's own code is in its details. */
export function cniErrorOf(error: unknown): CniError {
  if (isCniError(error)) return error
  const known = podwireCodes(error)
  const code = known.find((one) => Object.hasOwn(codes, one))
  return pluginError(
    code === undefined ? CniCode.internal : (codes[code] ?? CniCode.internal),
    messageOf(error),
    code ?? known[0],
  )
}

/** Whether an error, or what caused it, is of this code. */
export const hasCode = (error: unknown, code: string): boolean => podwireCodes(error).includes(code)

/** Of the error and of what caused it, the innermost first. */
function podwireCodes(error: unknown): string[] {
  const found: string[] = []
  for (let one = error, depth = 0; one instanceof Error && depth < 16; one = one.cause, depth++)
    if (isPodwireError(one)) found.unshift(one.code)
  return found
}
