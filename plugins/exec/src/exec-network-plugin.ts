import {
  type Host,
  type InitOptions,
  type Logger,
  NET_PLUGIN_EVENT_POD_CIDR_CHANGE,
  NET_PLUGIN_EVENT_POD_CIDR_CHANGE_DETAIL_CIDR,
  type NetworkPlugin,
  type PodRef,
  podRef,
  printable,
} from '@podwire/api'
import { hostVariables, podVariables, type Variables } from './environment.ts'
import { errors } from './errors.ts'
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
    command: 'init' | 'setup' | 'teardown' | 'status',
    options: InitOptions,
    signal: AbortSignal,
    about: { pod?: PodRef; variables?: Variables; input?: string } = {},
  ): Promise<ExecOutput> {
    const { variables, input } = about
    const pod = about.pod && podRef(about.pod)
    const env = { ...hostVariables(options, podCIDR), ...variables }
    const output = await runExecutable({ plugin: name, executable, command, pod, env, input, signal })
    log.debug(`${executable} ${command}`, { plugin: name, pod, output: output.combined })
    return output
  }

  function started(): { host: Host; options: InitOptions } {
    if (!initialised) throw errors.EXEC_NOT_INITIALISED({ plugin: name })
    return initialised
  }

  return {
    name,
    async init(host, options) {
      await validateExecutable(executable)
      await run('init', options, closing.signal)
      initialised = { host, options }
    },
    event(event, details) {
      const cidr = details[NET_PLUGIN_EVENT_POD_CIDR_CHANGE_DETAIL_CIDR]
      if (event === NET_PLUGIN_EVENT_POD_CIDR_CHANGE && typeof cidr === 'string') podCIDR = cidr
    },
    capabilities: () => capabilities,
    async setUpPod(pod, signal) {
      const variables = podVariables(pod)
      await run('setup', started().options, signal, { pod, variables, input: JSON.stringify(pod) })
    },
    async tearDownPod(pod, signal) {
      const { host, options } = started()
      // It may come after the namespace is gone.
      const PODWIRE_NETNS = await host.getNetNS(pod.sandboxId).catch(() => '')
      await run('teardown', options, signal, { pod, variables: { PODWIRE_NETNS } })
    },
    async getPodNetworkStatus(pod, signal) {
      const { host, options } = started()
      const PODWIRE_NETNS = await host.getNetNS(pod.sandboxId)
      const { stdout } = await run('status', options, signal, { pod, variables: { PODWIRE_NETNS } })
      return parseStatus(stdout, (problem) => {
        const printed = printable(stdout).slice(0, 1000)
        return errors.EXEC_BAD_STATUS({ plugin: name, executable, pod: podRef(pod), problem, printed })
      })
    },
    async status() {
      started()
    },
    /** Ends an `init` that is still running, which no deadline of the host reaches. */
    async close() {
      closing.abort(new Error('the host closes'))
    },
  }
}
