// Import this first to run the workspace's TypeScript as it is: every module format that tsx reads,
// and the `podwire-source` condition, so that packages find each other's sources and need no build.
import { register } from 'node:module'
import { register as registerTsx } from 'tsx/esm/api'

register('./source-condition.mjs', import.meta.url)
registerTsx()
