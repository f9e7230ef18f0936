import { expect, it } from 'vitest'
import { links, pendingChanges } from '../../src/index.ts'
import { describeIsolated, openFiles, useSandbox } from '../sandbox.ts'

describeIsolated('pendingChanges', () => {
  const box = useSandbox()

  it('tells at once what changed since it was asked last', () => {
    box.run('ip link add name br0 up type bridge')
    const before = openFiles()
    const pending = pendingChanges(box.netlink, ['address', 'route'])
    expect(pending.take()).toEqual([])
    box.run('ip address add 10.5.0.1/24 dev br0')
    expect(pending.take()).toContainEqual(
      expect.objectContaining({
        change: 'new',
        address: expect.objectContaining({ address: '10.5.0.1/24' }),
      }),
    )
    expect(pending.take()).toEqual([])
    box.run('ip address flush dev br0')
    const gone = pending.take()?.filter(({ change }) => change === 'deleted')
    expect(gone?.map(({ what }) => what)).toEqual(expect.arrayContaining(['address', 'route']))
    pending.close()
    expect(openFiles()).toBe(before)
  })

  it('says so when there were too many, and goes on', () => {
    const pending = pendingChanges(box.netlink, ['link'])
    for (let count = 0; count < 6000; count++) box.netlink.runSync(links.set('lo', { up: count % 2 === 0 }))
    expect(pending.take()).toBeUndefined()
    expect(pending.take()).toEqual([])
    pending.close()
  })
})
