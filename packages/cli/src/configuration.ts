import { createRequire } from 'node:module'
import { dirname, resolve } from 'node:path'
import { findConfig, type LoadedConfig, loadConfig, type PodwireConfig, parseConfig } from '@podwire/core'
import type { GlobalFlags } from './flags.ts'

/** What `podwire init` writes, and what holds where there is no configuration: the plugin that needs nothing but Node. */
export const STARTER_CONFIG = { networkPlugin: 'kubenet', podCIDR: '10.88.0.0/16' } satisfies PodwireConfig

/**
 * The configuration to use: the file that is found, else the starter; with the state directory of the flags, and the plugins
 * that come with this package.
 */
export async function loadConfiguration({ config: given, stateDir }: GlobalFlags): Promise<LoadedConfig> {
  const file = findConfig(given === undefined ? {} : { file: given })
  const loaded =
    file === undefined
      ? { file, dir: process.cwd(), config: parseConfig(STARTER_CONFIG, undefined, process.cwd()) }
      : await loadConfig({ file })
  const { config } = loaded
  return {
    ...loaded,
    config: {
      ...config,
      ...(stateDir === undefined ? {} : { stateDir: resolve(stateDir) }),
      discovery: { ...config.discovery, included: [kubenetDir()] },
    },
  }
}

function kubenetDir(): string {
  return dirname(createRequire(import.meta.url).resolve('@podwire/plugin-kubenet/package.json'))
}
