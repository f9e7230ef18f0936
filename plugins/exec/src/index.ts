import { definePlugin } from '@podwire/api'
import { execOptions } from './options.ts'
import { probeExecPlugins } from './probe.ts'

export { type ExecPluginSpec, execNetworkPlugin } from './exec-network-plugin.ts'

export default definePlugin({ apiVersion: 1, options: execOptions, probe: probeExecPlugins })
