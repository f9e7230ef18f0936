// Import this first to run the workspace's TypeScript as it is: every module format that tsx reads,
// and the `podwire-source` condition, so that packages find each other's sources and need no build.
import * as nodeModule from 'node:module'
import { register as registerTsx } from 'tsx/esm/api'
import { resolve } from './source-condition.mjs'

// Node 26 warns of module.register(), on the stderr of whatever runs; Node 20 has nothing else.
if (nodeModule.registerHooks) nodeModule.registerHooks({ resolve })
else nodeModule.register('./source-condition.mjs', import.meta.url)
registerTsx()
