import { definePlugin } from '@podwire/api'
import { ptpNetworkPlugin } from './plugin.ts'

export default definePlugin({ apiVersion: 1, probe: () => [ptpNetworkPlugin()] })
