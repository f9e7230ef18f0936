import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import {
  DEFAULT_INTERFACE_NAME,
  type Host,
  type InitOptions,
  type Logger,
  NET_PLUGIN_EVENT_POD_CIDR_CHANGE,
  NET_PLUGIN_EVENT_POD_CIDR_CHANGE_DETAIL_CIDR,
  type NetworkPlugin,
  type PodRef,
} from '@podwire/api'
import { badPermissions, missingExecutable, notInitialised } from './errors.ts'
import { parseStatus } from './parse-status.ts'
import { runExecutable } from './run-executable.ts'

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
  let initialised: { host: Host; options: InitOptions } | undefined
  let podCIDR = ''

  const call = async (command: string, pod?: PodRef, signal?: AbortSignal): Promise<string> => {
    if (!initialised) throw notInitialised({ plugin: name })
    const { host, options } = initialised
    const env = { ...hostEnvironment(options, podCIDR), ...(pod ? await podEnvironment(host, pod) : {}) }
    const output = await runExecutable({
      executable,
      command,
      env,
      ...(pod ? { pod } : {}),
      ...(signal ? { signal } : {}),
    })
    log.debug(`${executable} ${command}`, { plugin: name, pod, output })
    return output
  }

  return {
    name,
    init: async (host, options) => {
      await validate(executable)
      initialised = { host, options }
      await call('init').catch((error: unknown) => {
        initialised = undefined
        throw error
      })
    },
    event: (event, details) => {
      const cidr = details[NET_PLUGIN_EVENT_POD_CIDR_CHANGE_DETAIL_CIDR]
      if (event === NET_PLUGIN_EVENT_POD_CIDR_CHANGE && typeof cidr === 'string') podCIDR = cidr
    },
    capabilities: () => capabilities,
    setUpPod: async (pod, signal) => void (await call('setup', pod, signal)),
    tearDownPod: async (pod, signal) => void (await call('teardown', pod, signal)),
    getPodNetworkStatus: async (pod, signal) =>
      parseStatus(executable, pod, await call('status', pod, signal)),
    status: async () => {
      if (!initialised) throw notInitialised({ plugin: name })
    },
  }
}

async function validate(executable: string): Promise<void> {
  const isFile = await stat(executable).then(
    (found) => found.isFile(),
    () => false,
  )
  if (!isFile) throw missingExecutable({ executable })
  await access(executable, constants.X_OK).catch(() => {
    throw badPermissions({ executable })
  })
}

function hostEnvironment({ mtu, hairpinMode, nonMasqueradeCIDR }: InitOptions, podCIDR: string) {
  return {
    PODWIRE_IFNAME: DEFAULT_INTERFACE_NAME,
    PODWIRE_POD_CIDR: podCIDR,
    PODWIRE_MTU: String(mtu),
    PODWIRE_HAIRPIN_MODE: hairpinMode,
    PODWIRE_NON_MASQUERADE_CIDR: nonMasqueradeCIDR,
  }
}

async function podEnvironment(host: Host, pod: PodRef) {
  const known = host.supportsLegacyFeatures() ? await host.getPodByName(pod.namespace, pod.name) : undefined
  return {
    // A tear-down may come after the namespace.
    PODWIRE_NETNS: await host.getNetNS(pod.sandboxId).catch(() => ''),
    PODWIRE_PORT_MAPPINGS: JSON.stringify(await host.getPodPortMappings(pod.sandboxId)),
    PODWIRE_ANNOTATIONS: JSON.stringify(known?.annotations ?? {}),
  }
}
