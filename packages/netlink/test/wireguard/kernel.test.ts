import { expect, it } from 'vitest'
import {
  families,
  type GenericFamily,
  links,
  NETLINK_GENERIC,
  type NetlinkError,
  openNetlink,
  wireguard,
} from '../../src/index.ts'
import { describeIsolated, useSandbox } from '../sandbox.ts'

describeIsolated('generic netlink', () => {
  const box = useSandbox()
  const open = () => openNetlink({ netns: box.path, protocol: NETLINK_GENERIC })

  it('finds the family that every kernel has', async () => {
    using generic = open()
    expect(await generic.run(families.get('nlctrl'))).toMatchObject({ name: 'nlctrl', id: 16 })
  })

  it('says which it has not', async () => {
    using generic = open()
    await expect(generic.run(families.get('podwire-none'))).rejects.toMatchObject({
      code: 'ENOENT',
      message: expect.stringContaining('podwire-none'),
    })
  })

  it('WireGuard is set and read; where the kernel has none, it says so of family and link alike', async () => {
    using generic = open()
    const family = await generic
      .run(families.get(wireguard.FAMILY_NAME))
      .catch((error: NetlinkError) => error)
    if (!isFamily(family)) {
      expect(family).toMatchObject({ code: 'ENOENT' })
      expect(() => box.netlink.runSync(links.add({ kind: 'wireguard', name: 'wg0' }))).toThrow(
        expect.objectContaining({ code: 'EOPNOTSUPP' }),
      )
      return
    }
    box.netlink.runSync(links.add({ kind: 'wireguard', name: 'wg0', mtu: 1420 }))
    const [publicKey, privateKey] = [7, 8].map((byte) => Buffer.alloc(32, byte).toString('base64')) as [
      string,
      string,
    ]
    const allowedIps = Array.from({ length: 5_000 }, (_, at) => `10.1.${at >> 8}.${at & 255}/32`)
    const changes = { privateKey, listenPort: 5_000, peers: [{ publicKey, allowedIps }] }
    await generic.batch(wireguard.set(family, 'wg0', changes))
    const device = await generic.run(wireguard.get(family, 'wg0'))
    expect(device).toMatchObject({ name: 'wg0', listenPort: 5_000 })
    expect(device.peers[0]?.allowedIps.toSorted()).toEqual(allowedIps.toSorted())
  })
})

const isFamily = (found: GenericFamily | NetlinkError): found is GenericFamily => 'id' in found
