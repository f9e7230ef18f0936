import { describeCall, errorOf, type PluginCall, succeeded } from '../testbed/call.ts'
import { broken, notTried } from './verdict.ts'

/** Breaks the rule where the call succeeded, or was killed for being late: it had to fail by itself. */
export function mustBeRefused(call: PluginCall, what: string): void {
  if (succeeded(call)) broken(`${what} succeeds: ${describeCall(call)}`, call)
  if (call.exitCode === null) broken(`${what}: ${describeCall(call)}`, call)
}

/** Breaks the rule where the error has another code; gives up where there is no error, which is another rule's concern. */
export function mustHaveCode(call: PluginCall, what: string, ...codes: readonly number[]): void {
  if (succeeded(call)) notTried(`${what} succeeds`)
  const error = errorOf(call)
  if (!error) broken(`${what} prints no error: ${describeCall(call)}`, call)
  if (!codes.includes(error.code)) broken(`${what} has code ${error.code}: ${describeCall(call)}`, call)
}
