import { expect, test } from 'vitest'
import { loadPlugin } from '../../src/plugins/load-plugin.ts'
import { offering, workspace } from '../workspace.ts'

test('loads the package in a directory, wherever that is', async () => {
  const files = await workspace()
  const dir = await files.plugin('podwire-plugin-x', { code: offering('x') })
  const module = await loadPlugin(dir)
  const plugins = await module.probe({} as never) // It looks at nothing that it is given.
  expect(plugins.map(({ name }) => name)).toEqual(['x'])
})

test('says of a directory why it is no plugin package', async () => {
  const files = await workspace()
  const dir = await files.plugin('podwire-plugin-x', { manifest: { apiVersion: 7 } })
  await expect(loadPlugin(dir)).rejects.toThrow(/podwire-plugin-x: .*apiVersion/)
  await expect(loadPlugin(files.dir)).rejects.toThrow(files.dir)
})
