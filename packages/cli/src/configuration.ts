import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isPodwireError, messageOf, type PodwireError } from '@podwire/api'
import type { LoadedConfig, PodwireConfig } from '@podwire/core'
import type { GlobalFlags } from './flags.ts'
import { printNote } from './output.ts'

/**
 * What `podwire init` writes, and what holds where there is no configuration: the plugin that needs nothing but Node. Nobody but pods
 * sees their own addresses, as many a machine has its name servers in 10.0.0.0/8, and those have no way back to pods.
 */
export const STARTER_CONFIG = {
  networkPlugin: 'kubenet',
  podCIDR: 'auto',
  nonMasqueradeCIDR: '10.88.0.0/16',
} satisfies PodwireConfig

/** The plugins that come with this package, and where it is installed: others may lie beside it. */
export function installation() {
  const from = fileURLToPath(new URL('..', import.meta.url))
  const included = ['@podwire/plugin-kubenet', '@podwire/plugin-noop'].map((name) => packageDir(name, from))
  return { included, from }
}

/** Where Node finds a package; its own resolver takes milliseconds, and is asked where packages lie in no node_modules. */
function packageDir(name: string, from: string): string {
  for (let dir = from; dir !== dirname(dir); dir = dirname(dir)) {
    const found = join(dir, 'node_modules', name)
    if (existsSync(found)) return found
  }
  return dirname(createRequire(import.meta.url).resolve(`${name}/package.json`))
}

/** The configuration to use: the file that is found, else the starter; with what the flags say of it. */
export async function loadConfiguration(flags: GlobalFlags): Promise<LoadedConfig> {
  const { loadConfig } = await import('@podwire/core')
  const { config: file, stateDir, trust = [] } = flags
  return loadConfig({ ...(file === undefined ? {} : { file }), fallback: STARTER_CONFIG, stateDir, trust })
}

/** Reads the configuration, or gives what was read of it before. */
export type LoadConfiguration = () => Promise<LoadedConfig>

/** A configuration may be wrong and still say where its pods are. */
export function stateDirNamedIn({ details }: PodwireError): string | undefined {
  return typeof details['stateDir'] === 'string' ? details['stateDir'] : undefined
}

/** A configuration, or what stands in for one that can't be used. */
export interface LenientConfiguration {
  readonly configuration: LoadedConfig
  /** What is wrong with the real one. */
  readonly problem?: Error
}

/**
 * For commands that must work with a broken configuration: what a pod needs to go down is in its record. Says on stderr
 * what is wrong.
 */
export async function loadLenient(
  flags: GlobalFlags,
  load: LoadConfiguration,
): Promise<LenientConfiguration> {
  try {
    return { configuration: await load() }
  } catch (problem) {
    if (!isPodwireError(problem) || problem.code === 'CONFIG_NOT_FOUND') throw problem
    const { loadConfig } = await import('@podwire/core')
    const { stateDir = stateDirNamedIn(problem), trust = [] } = flags
    const stand = await loadConfig({ config: STARTER_CONFIG, stateDir, trust })
    printNote(messageOf(problem))
    printNote(
      `going on by the records in ${stand.config.stateDir}${stateDir === undefined ? '; if that configuration names another directory, give it with --state-dir' : ''}`,
    )
    return { configuration: { ...stand, searchFrom: undefined }, problem }
  }
}
