import { definePlugin } from '@podwire/api'
import { goodPlugin } from '../good.ts'

const only = goodPlugin({ stateDir: '/run/podwire/only' })

export default definePlugin({ apiVersion: 1, probe: () => [only] })
