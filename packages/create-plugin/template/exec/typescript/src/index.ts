import { definePlugin } from '@podwire/api'
import { options } from './options.ts'
import { networkPlugin } from './plugin.ts'

export default definePlugin({
  apiVersion: 1,
  options,
  probe: (context) => [networkPlugin(context)],
})
