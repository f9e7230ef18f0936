import { isIsolated } from '@podwire/testing'
import { describeNetworkPlugin } from '@podwire/testing/plugin'
import { describe, test } from 'vitest'

describeNetworkPlugin(
  { dir: new URL('..', import.meta.url) },
  { describe: describe.runIf(isIsolated()), test },
)
