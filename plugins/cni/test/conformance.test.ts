import { existsSync } from 'node:fs'
import { isIsolated } from '@podwire/testing'
import { describeNetworkPlugin } from '@podwire/testing/plugin'
import { describe, test } from 'vitest'
import { binDir } from './start-plugin.ts'

const confDir = new URL('./conformance-net.d', import.meta.url).pathname

// Without ipMasq: Debian's bridge 1.1.1 leaves its rules behind where the namespace went before DEL.
describeNetworkPlugin(
  {
    // Its bandwidth plugin's CHECK of a pod without limits crashes.
    skip: ['check-same'],
    dir: new URL('..', import.meta.url),
    options: { confDir, binDirs: [binDir] },
  },
  { describe: describe.runIf(isIsolated() && existsSync(`${binDir}/bridge`)), test },
)
