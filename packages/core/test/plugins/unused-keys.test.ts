import { expect, test } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import type { PodwireConfig } from '../../src/config/schema.ts'
import { unusedKeys } from '../../src/plugins/unused-keys.ts'

const tell = async (config: PodwireConfig) =>
  unusedKeys((await loadConfig({ config, stateDir: '/run/podwire' })).config)

test('who names a pod CIDR or options and no plugin is told which to name', async () => {
  expect(await tell({ podCIDR: '10.88.0.0/16' })).toMatch(/no notice of podCIDR\. .*"kubenet"/)
  expect(await tell({ podCIDR: '10.88.0.0/16', plugins: { exec: {} } })).toMatch(
    /no notice of podCIDR, plugins\.exec\. .*"exec"/,
  )
})

test('who names a plugin, or nothing at all, is told nothing', async () => {
  expect(await tell({})).toBeUndefined()
  expect(await tell({ networkPlugin: 'kubenet', podCIDR: '10.88.0.0/16' })).toBeUndefined()
})
