import { definePlugin } from '@podwire/api'
import { goodPlugin } from '../good.ts'

export default definePlugin({
  apiVersion: 1,
  options: {
    '~standard': {
      version: 1,
      vendor: 'test',
      validate: () => ({ issues: [{ message: 'expected a greeting', path: ['greeting'] }] }),
    },
  },
  probe: (context) => [goodPlugin(context)],
})
