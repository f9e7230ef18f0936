import { isIsolated } from '@podwire/testing'
import { describeNetworkPlugin } from '@podwire/testing/plugin'
import { describe, test } from 'vitest'

// The script that the README shows, so that what people copy is put to the test too.
const directory = '../../examples/exec-bridge/plugins'

describeNetworkPlugin(
  { dir: new URL('..', import.meta.url), plugin: 'example.com/bridge', options: { directory } },
  { describe: describe.runIf(isIsolated()), test },
)
