import { delimiter } from 'node:path'
import { badArgument, CniCode } from '../errors.ts'
import type { JsonObject } from '../json.ts'
import { checkContainerId, checkInterfaceName } from '../names.ts'
import type { TraceContext } from './deadline.ts'

/** One attachment of a container to a network, and what the plugins are told about it. */
export interface Attachment {
  readonly containerId: string
  /** The interface's name inside the container: `eth0`. */
  readonly ifName: string
  /** Path of the network namespace; may be left out where it is gone (DEL). */
  readonly netns?: string
  /** CNI_ARGS, in this order. */
  readonly args?: readonly (readonly [key: string, value: string])[]
  /** Capability arguments by capability; each plugin gets those it declares. */
  readonly capabilityArgs?: JsonObject
}

export type Command = 'ADD' | 'CHECK' | 'DEL' | 'GC' | 'STATUS' | 'VERSION'

const cniVariables = ['CNI_COMMAND', 'CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_ARGS', 'CNI_PATH']
const traceVariables = ['TRACEPARENT', 'TRACESTATE', 'BAGGAGE']

/** The process's environment with the variables of one call; CNI variables of the process itself don't leak into it. */
export function pluginEnvironment(
  command: Command,
  directories: readonly string[],
  attachment?: Attachment,
  trace?: TraceContext,
): NodeJS.ProcessEnv {
  return {
    ...without(process.env, isValidTrace(trace) ? [...cniVariables, ...traceVariables] : cniVariables),
    CNI_COMMAND: command,
    CNI_PATH: directories.join(delimiter),
    ...(attachment && {
      CNI_CONTAINERID: attachment.containerId,
      CNI_NETNS: attachment.netns ?? '',
      CNI_IFNAME: attachment.ifName,
      CNI_ARGS: (attachment.args ?? []).map(([key, value]) => `${key}=${value}`).join(';'),
    }),
    ...traceEnvironment(trace),
  }
}

/** The environment of a delegate: the plugin's own, with another command. */
export function delegateEnvironment(
  command: Command,
  env: Readonly<Record<string, string | undefined>>,
): NodeJS.ProcessEnv {
  return { ...env, CNI_COMMAND: command }
}

/** @throws CniError `ERR_CNI_ARGUMENT` for what can't be told to a plugin as it stands */
export function checkAttachment({ containerId, ifName, netns, args }: Attachment): void {
  checkContainerId(containerId)
  checkInterfaceName(ifName)
  if (netns?.includes('\0'))
    throw badArgument(CniCode.invalidEnvironment, 'invalid characters in network namespace', netns)
  for (const [key, value] of args ?? [])
    if (key === '' || /[=;\0]/.test(key) || /[;\0]/.test(value))
      throw badArgument(CniCode.invalidEnvironment, 'CNI_ARGS can not hold this pair', [key, value])
}

function traceEnvironment(trace: TraceContext | undefined): NodeJS.ProcessEnv {
  if (!isValidTrace(trace)) return {}
  return {
    TRACEPARENT: trace.traceparent,
    ...(trace.tracestate ? { TRACESTATE: trace.tracestate } : {}),
    ...(trace.baggage ? { BAGGAGE: trace.baggage } : {}),
  }
}

// IDs of zeroes alone are invalid, and so is version ff.
function isValidTrace(trace: TraceContext | undefined): trace is TraceContext {
  if (!trace || `${trace.tracestate}${trace.baggage}`.includes('\0')) return false
  const match = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$/.exec(trace.traceparent)
  return !!match && match[1] !== 'ff' && !/^0+$/.test(match[2]!) && !/^0+$/.test(match[3]!)
}

function without(env: NodeJS.ProcessEnv, names: readonly string[]): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !names.includes(name)))
}
