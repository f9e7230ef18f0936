import { definePlugin } from '@podwire/api'
import { goodPlugin } from '../good.ts'

export default definePlugin({
  apiVersion: 1,
  options: {
    '~standard': {
      version: 1,
      vendor: 'test',
      validate: (value) =>
        typeof value === 'object' && !Array.isArray(value)
          ? { value }
          : { issues: [{ message: 'expected an object' }] },
    },
  },
  probe: (context) => [goodPlugin(context)],
})
