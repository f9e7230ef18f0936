import { CniCode, type CniError, type PluginFailure, pluginFailed } from '../errors.ts'
import { isObject, type JsonObject, kindOf, own, parseJson } from '../json.ts'

/** The error of a plugin that failed: its own where it printed one, else what stderr or its end tells. */
export function pluginFailure(stdout: string, stderr: string, failure: PluginFailure): CniError {
  if (stdout.trim() !== '') return printedError(stdout, failure)
  if (stderr.trim() !== '')
    return pluginFailed(
      CniCode.internal,
      `netplugin failed: ${JSON.stringify(tail(stderr))}: ${ending(failure)}`,
      failure,
    )
  return pluginFailed(CniCode.internal, `netplugin failed with no error message: ${ending(failure)}`, failure)
}

/** The last 2 KiB of a text. */
export const tail = (text: string): string => text.slice(-2048)

function printedError(stdout: string, failure: PluginFailure): CniError {
  const unreadable = (why: string) =>
    pluginFailed(
      CniCode.internal,
      `netplugin failed but error parsing its diagnostic message ${JSON.stringify(tail(stdout))}: ${why}`,
      failure,
    )
  let printed: ReturnType<typeof parseJson>
  try {
    printed = parseJson(stdout, 'error')
  } catch (error) {
    return unreadable((error as Error).message) // parseJson throws nothing else
  }
  if (!isObject(printed)) return unreadable(`expected an object, not ${kindOf(printed)}`)
  const [code, msg, details] = [
    own(printed, 'code') ?? CniCode.internal,
    own(printed, 'msg') ?? '',
    own(printed, 'details') ?? '',
  ]
  if (typeof code !== 'number' || !Number.isSafeInteger(code) || code < 0)
    return unreadable('code is no number')
  if (typeof msg !== 'string' || typeof details !== 'string') return unreadable('msg or details is no text')
  if (!says(printed)) return unreadable('neither code nor msg')
  return pluginFailed(code, details === '' ? msg : `${msg}; ${details}`, failure, {
    pluginMessage: msg,
    pluginDetails: details,
  })
}

const says = (printed: JsonObject) => Object.hasOwn(printed, 'code') || Object.hasOwn(printed, 'msg')

// As Go words it.
function ending({ exitCode, signal }: PluginFailure): string {
  return signal ? `signal: ${signalWords[signal] ?? signal}` : `exit status ${exitCode}`
}

const signalWords: Record<string, string> = {
  SIGHUP: 'hangup',
  SIGINT: 'interrupt',
  SIGABRT: 'aborted',
  SIGKILL: 'killed',
  SIGSEGV: 'segmentation fault',
  SIGPIPE: 'broken pipe',
  SIGTERM: 'terminated',
}
