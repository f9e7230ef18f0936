import { definePlugin, type NetworkPlugin } from '@podwire/api'
import { goodPlugin } from '../good.ts'

export default definePlugin({
  apiVersion: 1,
  probe(context) {
    const { status: _, ...rest } = goodPlugin(context)
    return [rest as NetworkPlugin] // It is not: that is what is broken.
  },
})
