import * as core from '@podwire/core'
import { installation, STARTER_CONFIG } from './configuration.ts'

export * from '@podwire/core'

/**
 * Makes a host as the command line does: without a configuration, kubenet with its default range; kubenet and the no-op
 * plugin come along, however this package is installed. See `createNetworkHost` of @podwire/core for the rest.
 */
export function createNetworkHost(options: core.NetworkHostOptions = {}): Promise<core.NetworkHost> {
  return core.createNetworkHost({ installation: installation(), fallback: STARTER_CONFIG, ...options })
}
