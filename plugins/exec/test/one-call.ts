// Run by itself: `one-call.ts DIRECTORY` starts the plugins in the directory and sets a pod up with each.
import { fakeHost, fakePod, recordingLogger } from '@podwire/testing'
import exec from '../src/index.ts'

const [directory = ''] = process.argv.slice(2)
const context = { configDir: undefined, stateDir: '/none', log: recordingLogger() }
const plugins = await exec.probe({ options: { directory, capabilities: [] }, ...context })
if (plugins.length === 0) throw new Error(`no plugin in ${directory}`)
for (const plugin of plugins) {
  await plugin.init(fakeHost(), { hairpinMode: 'none', nonMasqueradeCIDR: '10.0.0.0/8', mtu: 0 })
  await plugin.setUpPod(fakePod(), new AbortController().signal)
}
