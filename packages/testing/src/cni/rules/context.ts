import { randomBytes } from 'node:crypto'
import { isObject, type JsonObject, tryParse } from '../../kernel-state/json.ts'
import { readState, type State } from '../../kernel-state/state.ts'
import type { CniVersion } from '../spec/versions.ts'
import type { Plugin, Subject } from '../subject/subject.ts'
import {
  type CallRequest,
  callPlugin,
  describeCall,
  errorOf,
  type PluginCall,
  succeeded,
} from '../testbed/call.ts'
import { type Attachment, makeAttachment } from '../testbed/sandbox.ts'
import type { Testbed } from '../testbed/testbed.ts'
import { notTried } from './verdict.ts'

/** What is different in a call from how a runtime calls. */
interface Deviation {
  /** Variables to set, or to leave out. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Keys to set, or to leave out, in the configuration. */
  readonly config?: Readonly<Record<string, unknown>>
  /** Instead of the configuration. */
  readonly stdin?: string
  readonly killAfter?: number
}

/** A command carried out by all plugins of the network. */
export interface NetworkRun {
  readonly calls: readonly PluginCall[]
  /** The call that ended it. */
  readonly failed?: PluginCall
  /** What the last plugin printed after ADD. */
  readonly result?: JsonObject
}

type Command = 'ADD' | 'DEL' | 'CHECK' | 'GC' | 'STATUS' | 'VERSION'

/** What a rule is tried with: a testbed of its own, and a runtime's part. */
export interface RuleContext {
  readonly subject: Subject
  /** For rules of every plugin the one in question, else the first. */
  readonly plugin: Plugin
  readonly version: CniVersion
  readonly testbed: Testbed
  /** Makes a sandbox to attach. */
  attachment(): Promise<Attachment>
  /** Calls one plugin. */
  call(plugin: Plugin, command: string, attachment?: Attachment, deviation?: Deviation): Promise<PluginCall>
  /** ADD by all plugins, each getting the result of the one before; stops at the first error. */
  add(attachment: Attachment, deviation?: Deviation): Promise<NetworkRun>
  /** ADD that this rule needs but isn't about: gives up where it fails. */
  mustAdd(attachment: Attachment): Promise<JsonObject>
  /** DEL by all plugins in reverse, with ADD's result as `prevResult`; stops at the first error. */
  del(attachment: Attachment, deviation?: Deviation): Promise<NetworkRun>
  mustDel(attachment: Attachment): Promise<void>
  /** CHECK by all plugins; stops at the first error. */
  check(attachment: Attachment, deviation?: Deviation): Promise<NetworkRun>
  /** GC or STATUS by all plugins; goes on after an error. */
  forAll(command: 'GC' | 'STATUS', deviation?: Deviation): Promise<NetworkRun>
  state(...attachments: readonly Attachment[]): Promise<State>
  /** Attaches and detaches once, so that what a network needs for all its attachments is there. */
  warmUp(): Promise<void>
}

/** Makes the context of one rule. */
export function createContext(
  subject: Subject,
  plugin: Plugin,
  version: CniVersion,
  testbed: Testbed,
  deadline: number,
  onCall: (call: PluginCall) => void,
): RuleContext {
  const prefix = `t${randomBytes(4).toString('hex')}`
  let count = 0

  const call: RuleContext['call'] = async (plugin, command, attachment, deviation = {}) => {
    const variables = {
      CNI_COMMAND: command,
      CNI_PATH: subject.cniPath.join(':'),
      ...(attachment
        ? {
            CNI_CONTAINERID: attachment.containerId,
            CNI_NETNS: attachment.netns,
            CNI_IFNAME: attachment.ifName,
          }
        : {}),
      ...deviation.env,
    }
    const config = {
      ...requestConfig(plugin, attachment?.index ?? 0),
      cniVersion: version,
      name: subject.name,
      type: plugin.type,
      ...deviation.config,
    }
    const request: CallRequest = {
      program: plugin.program,
      env: Object.fromEntries(
        Object.entries(variables).filter((entry): entry is [string, string] => entry[1] !== undefined),
      ),
      stdin: deviation.stdin ?? JSON.stringify(config),
      deadline,
      ...(deviation.killAfter === undefined ? {} : { killAfter: deviation.killAfter }),
    }
    const made = await callPlugin(testbed, request)
    onCall(made)
    return made
  }

  // For the commands that stop at the first error.
  const inTurn = async (
    plugins: readonly Plugin[],
    command: Command,
    attachment: Attachment,
    deviation: Deviation = {},
  ): Promise<NetworkRun> => {
    const calls: PluginCall[] = []
    for (const each of plugins) {
      const prevResult = attachment.result ?? attachment.given
      const config = {
        ...(command === 'DEL' && version === '0.3.1' ? {} : { prevResult }),
        ...deviation.config,
      }
      const made = await call(each, command, attachment, { ...deviation, config })
      calls.push(made)
      if (!succeeded(made)) return { calls, failed: made }
    }
    return { calls }
  }

  const context: RuleContext = {
    subject,
    plugin,
    version,
    testbed,
    call,
    attachment: () => makeAttachment(testbed, subject, version, `${prefix}-${count}`, count++),
    async add(attachment, deviation = {}) {
      const calls: PluginCall[] = []
      let prevResult: unknown = attachment.given
      for (const each of subject.plugins) {
        const config = { ...(prevResult === undefined ? {} : { prevResult }), ...deviation.config }
        const made = await call(each, 'ADD', attachment, { ...deviation, config })
        calls.push(made)
        if (!succeeded(made)) return { calls, failed: made }
        prevResult = tryParse(made.stdout)
        if (!isObject(prevResult)) return { calls, failed: made }
      }
      const result = prevResult as JsonObject // The loop ran once at least, and checked it.
      attachment.result = result
      return { calls, result }
    },
    async mustAdd(attachment) {
      const { failed, result } = await context.add(attachment)
      if (result) return result
      return notTried(`ADD doesn't work: ${failed ? reasonOf(failed) : 'no result'}`)
    },
    del: (attachment, deviation) => inTurn([...subject.plugins].reverse(), 'DEL', attachment, deviation),
    async mustDel(attachment) {
      const { failed } = await context.del(attachment)
      if (failed) notTried(`DEL doesn't work: ${reasonOf(failed)}`)
    },
    check: (attachment, deviation) => inTurn(subject.plugins, 'CHECK', attachment, deviation),
    async forAll(command, deviation) {
      const calls: PluginCall[] = []
      for (const each of subject.plugins) calls.push(await call(each, command, undefined, deviation))
      const failed = calls.find((made) => !succeeded(made))
      return { calls, ...(failed ? { failed } : {}) }
    },
    state: (...attachments) =>
      readState(
        testbed,
        attachments.map(({ name }) => name),
      ),
    async warmUp() {
      const attachment = await context.attachment()
      await context.mustAdd(attachment)
      await context.mustDel(attachment)
    },
  }
  return context
}

function reasonOf(call: PluginCall): string {
  const error = errorOf(call)
  return error
    ? `${error.msg}${typeof error['details'] === 'string' ? `, ${error['details']}` : ''}`
    : describeCall(call)
}

// As a runtime derives it: `capabilities` become the arguments of those that it has arguments for.
function requestConfig(plugin: Plugin, index: number): JsonObject {
  const { capabilities, ...config } = plugin.config(index)
  if (!isObject(capabilities)) return config
  const all: JsonObject = {
    portMappings: [{ hostPort: 18_080 + index, containerPort: 80, protocol: 'tcp' }],
    bandwidth: { ingressRate: 8_000_000, ingressBurst: 800_000, egressRate: 8_000_000, egressBurst: 800_000 },
    mac: `02:00:00:00:00:${(index + 16).toString(16)}`,
  }
  const entries = Object.entries(all).filter(([name]) => capabilities[name] === true)
  return entries.length === 0 ? config : { ...config, runtimeConfig: Object.fromEntries(entries) }
}
