import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { builtWorkspace } from '../../../.dev/built-workspace.ts'
import { formatShimSettings, readShim, type shimPath } from '../src/index.ts'
import { hasCompiler } from './shims.ts'

// What an installation is given, of the packages as they are published.

const built = builtWorkspace()
const { shimPath: publishedPath } = (await import(join(built, 'packages/shim/dist/index.js'))) as {
  shimPath: typeof shimPath
}

test.runIf(hasCompiler)('is the native one of this machine, where there is one', async () => {
  const shim = publishedPath()
  expect(shim).toEqual({
    path: join(built, `packages/shim-linux-${process.arch}/dist/podwire-shim`),
    kind: 'native',
  })
  expect((await readShim(shim)).equals(readFileSync(shim.path))).toBe(true)
})

test('is the one of JavaScript elsewhere, run by the Node that is named', async () => {
  const shim = publishedPath({ arch: 'riscv64' })
  expect(shim).toEqual({ path: join(built, 'packages/shim/dist/node-shim.cjs'), kind: 'node' })
  expect((await readShim(shim, { node: '/usr/bin/node' })).toString()).toMatch(/^#!\/usr\/bin\/node\n/)
  expect((await readShim(shim)).toString().split('\n')[0]).toBe(`#!${process.execPath}`)
  expect(publishedPath({ platform: 'freebsd' }).kind).toBe('node')
})

test('has its settings in lines', () => {
  expect(formatShimSettings({})).toBe('')
  expect(formatShimSettings({ socket: '/a b', journal: '/j', deadlineMs: 5 })).toBe(
    'socket /a b\njournal /j\ndeadline 5\n',
  )
})
