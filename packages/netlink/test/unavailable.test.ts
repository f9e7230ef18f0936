import { spawnSync } from 'node:child_process'
import { expect, it } from 'vitest'
import { running } from './sandbox.ts'

// koffi has a native part for this machine's processor, and none for one that it has never heard of.
it('says what is missing where koffi has no native part', () => {
  const script = `
    Object.defineProperty(process, 'arch', { value: 'pdp11' })
    const { openNetlink } = await import('@podwire/netlink')
    try { openNetlink() } catch ({ code, message }) { console.log(code + ': ' + message) }`
  const { stdout, stderr } = spawnSync(process.execPath, running(script), {
    cwd: import.meta.dirname,
    encoding: 'utf8',
  })
  expect(stdout + stderr).toMatch(
    /^ERR_NETLINK_UNAVAILABLE: .*koffi's native part; this is linux pdp11\. \S.*\n$/,
  )
})
