import { definePlugin } from '@podwire/api'
import { options } from './options.js'
import { networkPlugin } from './plugin.js'

export default definePlugin({
  apiVersion: 1,
  options,
  probe: (context) => [networkPlugin(context)],
})
