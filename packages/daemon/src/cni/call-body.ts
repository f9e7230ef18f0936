import { type CniCall, CniCode, pluginError } from '@podwire/libcni/plugin'

/** What a call may bring. Bytes. */
export const callLimits = { variables: 64 * 1024, stdin: 1024 * 1024 } as const

/** More than a call that is understood ever has: beyond it nothing is read. Bytes. */
export const largestBody = 4 * 1024 * 1024

/** What a request of this type holds: CNI's variables, each `NAME=VALUE` and a NUL; another NUL; stdin as it came. */
export const callContentType = 'application/vnd.podwire.cni'

const NUL = 0

/**
 * Reads a call as the executable of a plugin got it. Stdin is looked at when it is asked for.
 * @throws CniError 4 where the variables are not what they should be; `stdin` 6 where that is
 */
export function parseCallBody(body: Uint8Array): CniCall {
  const env = new Map<string, string>()
  let at = 0
  for (;;) {
    if (at > callLimits.variables) throw badVariables(`they have more than ${callLimits.variables} bytes`)
    const end = body.indexOf(NUL, at)
    if (end < 0) throw badVariables('they are cut short')
    if (end > callLimits.variables) throw badVariables(`they have more than ${callLimits.variables} bytes`)
    if (end === at) break
    const [name, value] = variableOf(body.subarray(at, end))
    // As getenv does where an environment has two.
    if (!env.has(name)) env.set(name, value)
    at = end + 1
  }
  const stdin = body.subarray(at + 1)
  return { env: Object.fromEntries(env), stdin: () => decodeStdin(stdin) }
}

function variableOf(bytes: Uint8Array): [name: string, value: string] {
  const text = decode(bytes)
  if (text === undefined) throw badVariables('one of them is not UTF-8')
  const [, name, value] = /^(CNI_[A-Za-z0-9_]*)=(.*)$/s.exec(text) ?? []
  if (name === undefined || value === undefined) throw badVariables('one of them is not CNI_…=VALUE')
  return [name, value]
}

function decodeStdin(bytes: Uint8Array): string {
  if (bytes.length > callLimits.stdin)
    throw pluginError(CniCode.decodingFailure, `stdin has more than ${callLimits.stdin} bytes`)
  const text = decode(bytes)
  if (text === undefined) throw pluginError(CniCode.decodingFailure, 'stdin is not UTF-8')
  return text
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

const badVariables = (problem: string) =>
  pluginError(CniCode.invalidEnvironment, `the variables of the call can't be read: ${problem}`)
