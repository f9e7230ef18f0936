import { readdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { errnoOf } from '@podwire/api'
import { type CniError, errors, isCniError } from '../errors.ts'
import { parseJsonObject } from '../json.ts'
import {
  type NetworkConfigList,
  networkName,
  onlyInlinedPlugins,
  toList,
  toNetworkConfig,
  toNetworkConfigList,
  toPlugin,
} from './network-config.ts'

/** A network and the file it is from. */
export interface LoadedNetwork {
  readonly path: string
  readonly network: NetworkConfigList
}

/** A file that holds no network, and why. */
export interface ConfigProblem {
  readonly path: string
  readonly error: CniError
}

export interface LoadedNetworks {
  /** Sorted: lists (`.conflist`) first, then single configurations (`.conf`, `.json`), each by file name. */
  readonly networks: readonly LoadedNetwork[]
  readonly problems: readonly ConfigProblem[]
}

/**
 * Every network in a directory, single configurations as lists of one; a directory that isn't there holds none.
 * @throws CniError `ERR_CNI_CONFIG_READ` when the directory can't be read
 */
export async function loadNetworks(directory: string): Promise<LoadedNetworks> {
  const files = await configFiles(directory)
  const outcomes = await Promise.all(files.map(loadFile))
  return {
    networks: outcomes.filter((outcome) => 'network' in outcome),
    problems: outcomes.filter((outcome) => 'error' in outcome),
  }
}

/**
 * The first network of this name in a directory. A malformed neighbour doesn't hide it; where nothing is found, the
 * neighbours' errors are in `details.errors`.
 * @throws CniError `ERR_CNI_NETWORK_NOT_FOUND`, `ERR_CNI_NO_NETWORKS` where the directory holds no configuration at all
 */
export async function loadNetwork(directory: string, name: string): Promise<NetworkConfigList> {
  const { networks, problems } = await loadNetworks(directory)
  const found = networks.find(({ network }) => network.name === name)
  if (found) return found.network
  if (networks.length === 0 && problems.length === 0) throw errors.ERR_CNI_NO_NETWORKS({ directory })
  throw errors.ERR_CNI_NETWORK_NOT_FOUND({ directory, name, errors: problems.map(({ error }) => error) })
}

/**
 * The network in one file: a list where it ends in `.conflist`, else a single configuration. To a list are added the
 * plugins in `NAME/*.conf` beside it, NAME being the network's, unless it sets `loadOnlyInlinedPlugins`.
 * @throws CniError `ERR_CNI_CONFIG`, `ERR_CNI_JSON`, `ERR_CNI_CONFIG_READ`
 */
export async function readNetworkFile(path: string): Promise<NetworkConfigList> {
  const raw = parseJsonObject(await read(path), path)
  if (!isListFile(path)) return toNetworkConfigList(toNetworkConfig(raw, path))
  const inlinedOnly = onlyInlinedPlugins(raw, path)
  const extra = inlinedOnly ? [] : await pluginFiles(join(dirname(path), networkName(raw, path)))
  return toList(raw, path, extra)
}

/** Whether a file holds a list, by its name; as to Go, one called `.conflist` does. */
export const isListFile = (path: string): boolean => path.endsWith('.conflist')

async function loadFile(path: string): Promise<LoadedNetwork | ConfigProblem> {
  try {
    return { path, network: await readNetworkFile(path) }
  } catch (error) {
    if (!isCniError(error)) throw error
    return { path, error }
  }
}

async function pluginFiles(directory: string) {
  const names = await fileNames(directory, ['.conf'])
  return Promise.all(
    names.map(async (name) => {
      const path = join(directory, name)
      return toPlugin(parseJsonObject(await read(path), path), path)
    }),
  )
}

async function configFiles(directory: string): Promise<string[]> {
  const names = await fileNames(directory, ['.conflist', '.conf', '.json'])
  const sorted = [...names.filter(isListFile), ...names.filter((name) => !isListFile(name))]
  return sorted.map((name) => join(directory, name))
}

// Sorted by code unit, as Go sorts strings.
async function fileNames(directory: string, extensions: readonly string[]): Promise<string[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true })
    return entries
      .filter((entry) => !entry.isDirectory() && extensions.some((end) => entry.name.endsWith(end)))
      .map((entry) => entry.name)
      .sort()
  } catch (cause) {
    const code = errnoOf(cause)
    if (code === 'ENOENT') return []
    // A network's directory may well be a file of that name.
    if (code === 'ENOTDIR' && extensions.length === 1) return []
    throw errors.ERR_CNI_CONFIG_READ({ path: directory }, cause)
  }
}

async function read(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path)
  } catch (cause) {
    throw errors.ERR_CNI_CONFIG_READ({ path }, cause)
  }
}
