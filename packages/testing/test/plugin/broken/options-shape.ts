import { definePlugin } from '@podwire/api'
import { goodPlugin } from '../good.ts'

export default definePlugin({
  apiVersion: 1,
  options: {
    '~standard': {
      version: 1,
      vendor: 'test',
      validate: (value) => ({ value }),
    },
  },
  probe: (context) => [goodPlugin(context)],
})
