export * from '@podwire/core'
// In the place of the core's, which knows no plugin.
export { createNetworkHost } from './create-network-host.ts'
