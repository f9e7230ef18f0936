import {
  type Host,
  type InitOptions,
  type Logger,
  NET_PLUGIN_EVENT_POD_CIDR_CHANGE,
  NET_PLUGIN_EVENT_POD_CIDR_CHANGE_DETAIL_CIDR,
  type NetworkPlugin,
  type PodRef,
} from '@podwire/api'
import { hostEnvironment, noPodEnvironment, podEnvironment } from './environment.ts'
import { badStatus, notInitialised } from './errors.ts'
import { validateExecutable } from './executable.ts'
import { parseStatus } from './parse-status.ts'
import { type ExecOutput, runExecutable } from './run-executable.ts'

/** What makes a plugin of an executable. */
export interface ExecPluginSpec {
  /** `vendor/name` */
  readonly name: string
  readonly executable: string
  /** A bitset: an executable can't be asked what it does. */
  readonly capabilities: number
  readonly log: Logger
}

/**
 * A network plugin that is an executable, called as `init`, `setup NS POD ID`, `teardown NS POD ID` and
 * `status NS POD ID`. Source: the kubelet's package `network/exec`; the `PODWIRE_*` variables are ours.
 */
export function execNetworkPlugin({ name, executable, capabilities, log }: ExecPluginSpec): NetworkPlugin {
  const closing = new AbortController()
  let initialised: { host: Host; options: InitOptions } | undefined
  let podCIDR = ''

  async function run(
    command: string,
    options: InitOptions,
    podVariables: Readonly<Record<string, string>>,
    signal: AbortSignal,
    pod?: PodRef,
  ): Promise<ExecOutput> {
    const env = { ...hostEnvironment(options, podCIDR), ...podVariables }
    const output = await runExecutable({ plugin: name, executable, command, pod, env, signal })
    log.debug(`${executable} ${command}`, { plugin: name, pod, output: output.combined })
    return output
  }

  async function runForPod(
    command: 'setup' | 'teardown' | 'status',
    pod: PodRef,
    signal: AbortSignal,
  ): Promise<ExecOutput> {
    if (!initialised) throw notInitialised({ plugin: name })
    const { host, options } = initialised
    const netns = await host.getNetNS(pod.sandboxId).catch((error: unknown) => {
      // A tear-down may come after the namespace.
      if (command === 'teardown') return ''
      throw error
    })
    return run(command, options, await podEnvironment(host, pod, netns), signal, pod)
  }

  return {
    name,
    async init(host, options) {
      await validateExecutable(executable)
      await run('init', options, noPodEnvironment, closing.signal)
      initialised = { host, options }
    },
    event(event, details) {
      const cidr = details[NET_PLUGIN_EVENT_POD_CIDR_CHANGE_DETAIL_CIDR]
      if (event === NET_PLUGIN_EVENT_POD_CIDR_CHANGE && typeof cidr === 'string') podCIDR = cidr
    },
    capabilities: () => capabilities,
    async setUpPod(pod, signal) {
      await runForPod('setup', pod, signal)
    },
    async tearDownPod(pod, signal) {
      await runForPod('teardown', pod, signal)
    },
    async getPodNetworkStatus(pod, signal) {
      const { stdout: printed } = await runForPod('status', pod, signal)
      return parseStatus(printed, (problem) => badStatus({ plugin: name, executable, pod, problem, printed }))
    },
    async status() {
      if (!initialised) throw notInitialised({ plugin: name })
    },
    /** Ends an `init` that is still running, which no deadline of the host reaches. */
    async close() {
      closing.abort(new Error('the host closes'))
    },
  }
}
