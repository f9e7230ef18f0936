import { definePlugin } from '@podwire/api'
import { type KubenetOptions, optionsSchema } from './options.ts'
import { createKubenet } from './plugin.ts'

export { IP_ANNOTATION } from '@podwire/api'
export { findFreePodCIDR } from './node/free-cidr.ts'
export type { KubenetOptions } from './options.ts'
export { createKubenet, type KubenetContext } from './plugin.ts'

/** Offers `kubenet`: every pod at a link of its own, or on a bridge, all of it done in process. */
export default definePlugin<KubenetOptions>({
  apiVersion: 1,
  options: optionsSchema,
  probe: ({ options, stateDir, log }) => [createKubenet({ options, stateDir, log })],
})
