import { messageOf } from '@podwire/api'
import { CniCode, type CniError, errors, type PluginFailure } from '../errors.ts'
import { isObject, type Json, kindOf, parseJson, readKey } from '../json.ts'

/** The error of a plugin that failed: its own where it printed one, else what stderr or its exit tells. */
export function pluginFailure(stdout: string, stderr: string, failure: PluginFailure): CniError {
  if (stdout.trim() !== '') return printedError(stdout, failure)
  const problem =
    stderr.trim() === ''
      ? `netplugin failed with no error message: ${exitOf(failure)}`
      : `netplugin failed: ${JSON.stringify(tail(stderr))}: ${exitOf(failure)}`
  return errors.ERR_CNI_PLUGIN_FAILED({ ...failure, problem, cniCode: CniCode.internal })
}

/** The last 2 KiB of a text. */
export const tail = (text: string): string => text.slice(-2048)

function printedError(stdout: string, failure: PluginFailure): CniError {
  const unreadable = (why: string) =>
    errors.ERR_CNI_PLUGIN_FAILED({
      ...failure,
      problem: `netplugin failed but error parsing its diagnostic message ${JSON.stringify(tail(stdout))}: ${why}`,
      cniCode: CniCode.internal,
    })
  let printed: Json
  try {
    printed = parseJson(stdout, 'error')
  } catch (error) {
    return unreadable(messageOf(error))
  }
  if (!isObject(printed)) return unreadable(`expected an object, not ${kindOf(printed)}`)
  const [code, msg, details] = [
    readKey(printed, 'code'),
    readKey(printed, 'msg'),
    readKey(printed, 'details') ?? '',
  ]
  if (code === undefined && msg === undefined) return unreadable('it has neither code nor msg')
  const cniCode = code ?? CniCode.internal
  if (typeof cniCode !== 'number' || !Number.isSafeInteger(cniCode) || cniCode < 0)
    return unreadable('code is not a whole number')
  const pluginMessage = msg ?? ''
  if (typeof pluginMessage !== 'string' || typeof details !== 'string')
    return unreadable('msg or details is not a string')
  return errors.ERR_CNI_PLUGIN_FAILED({
    ...failure,
    problem: details === '' ? pluginMessage : `${pluginMessage}; ${details}`,
    cniCode,
    pluginMessage,
    pluginDetails: details,
  })
}

// In Go's words.
function exitOf({ exitCode, signal }: PluginFailure): string {
  return signal ? `signal: ${signalNames[signal] ?? signal}` : `exit status ${exitCode}`
}

const signalNames: Readonly<Record<string, string>> = {
  SIGHUP: 'hangup',
  SIGINT: 'interrupt',
  SIGABRT: 'aborted',
  SIGKILL: 'killed',
  SIGSEGV: 'segmentation fault',
  SIGPIPE: 'broken pipe',
  SIGTERM: 'terminated',
}
