import { expect, it } from 'vitest'
import { links, setTransmitsWithoutChecksum, transmitsWithoutChecksum, withNetns } from '../src/index.ts'
import { describeIsolated, useSandbox } from './sandbox.ts'

describeIsolated('the checksums of what a link sends', () => {
  const box = useSandbox()

  it('are left to what is below it, or computed', () => {
    box.netlink.runSync(links.add({ kind: 'vxlan', name: 'vx', vni: 7, port: 8472, local: '192.0.2.1' }))
    const isLeft = () => withNetns(box.path, () => transmitsWithoutChecksum('vx'))
    expect(isLeft()).toBe(true)
    withNetns(box.path, () => setTransmitsWithoutChecksum('vx', false))
    expect(isLeft()).toBe(false)
    withNetns(box.path, () => setTransmitsWithoutChecksum('vx', true))
    expect(isLeft()).toBe(true)
    expect(() => withNetns(box.path, () => transmitsWithoutChecksum('none'))).toThrow('ENODEV')
  })
})
