import { basename } from 'node:path'
import { type Logger, printable } from '@podwire/api'
import {
  type LoadedNetwork,
  type LoadedNetworks,
  type NetworkConfigList,
  watchNetworks,
} from '@podwire/libcni'

/** The networks of a configuration directory, as they are now. */
export interface ConfiguredNetworks {
  /** The network that pods get as eth0; undefined while there is none. */
  first(): NetworkConfigList | undefined
  named(name: string): NetworkConfigList | undefined
  names(): string[]
  /** What is wrong with files that hold no network. */
  problems(): string[]
  close(): void
}

export interface ConfiguredNetworksOptions {
  readonly confDir: string
  /** The first network's name; undefined: the first valid file's. */
  readonly network: string | undefined
  readonly log: Logger
  /** Told of every other network that becomes the first one. */
  readonly onSwitch: (change: { from: string; to: string; file: string }) => void
}

/** Reads the directory, and again whenever it changes. While it has no first network, the last one stays. */
export async function configuredNetworks({
  confDir,
  network: wanted,
  log,
  onSwitch,
}: ConfiguredNetworksOptions): Promise<ConfiguredNetworks> {
  let first: LoadedNetwork | undefined
  const reported = new Set<string>()

  const onChange = ({ networks, problems }: LoadedNetworks): void => {
    for (const { error } of problems) {
      if (!reported.has(error.message)) log.warn(`skipped: ${printable(error.message)}`)
      reported.add(error.message)
    }
    const found = [...networks]
      .sort(byFileName)
      .find(({ network }) => wanted === undefined || network.name === wanted)
    if (!found && first) {
      log.warn(
        `${confDir} no longer holds network "${first.network.name}": it is kept until there is another`,
      )
      return
    }
    const before = first?.network.name
    first = found
    if (!found) return
    const { path, network } = found
    if (before === undefined) log.info(`network "${network.name}" from ${path}`)
    else if (before !== network.name) {
      log.warn(`new pods now get network "${network.name}" from ${path} in place of "${before}"`)
      onSwitch({ from: before, to: network.name, file: path })
    }
  }

  const watch = watchNetworks(confDir, { onChange })
  await watch.ready
  const named = (name: string) => watch.current.networks.find(({ network }) => network.name === name)?.network
  return {
    first: () => first?.network,
    named: (name) => named(name) ?? (first?.network.name === name ? first.network : undefined),
    names: () => [...new Set(watch.current.networks.map(({ network }) => network.name))],
    problems: () => watch.current.problems.map(({ error }) => error.message),
    close: () => watch.close(),
  }
}

// Lists don't go first here: the kubelet took files as they sort, whatever they end in.
function byFileName(a: LoadedNetwork, b: LoadedNetwork): number {
  return basename(a.path) < basename(b.path) ? -1 : 1
}
