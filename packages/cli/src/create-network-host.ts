import * as core from '@podwire/core'
import { installation, STARTER_CONFIG } from './configuration.ts'

/**
 * Makes a host as the command line does: without a configuration, kubenet with its default range; kubenet and the no-op
 * plugin come along, however this package is installed. See `createNetworkHost` of @podwire/core for the rest.
 */
export async function createNetworkHost(options: core.NetworkHostOptions = {}): Promise<core.NetworkHost> {
  const { config, configFile: file, cwd, stateDir, trust = [] } = options
  const loaded =
    config ??
    (await core.loadConfig({
      ...(file === undefined ? {} : { file }),
      ...(cwd === undefined ? {} : { cwd }),
      stateDir,
      trust,
      fallback: STARTER_CONFIG,
    }))
  return core.createNetworkHost({ installation: installation(), ...options, config: loaded })
}
