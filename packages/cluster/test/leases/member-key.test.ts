import { beforeAll, describe, expect, test } from 'vitest'
import { hasEtcd } from '../../../../.dev/etcd-server.ts'
import { keysOf } from '../../src/layout/keys.ts'
import { writeNetwork } from '../../src/leases/network.ts'
import { listLeases } from '../../src/leases/release.ts'
import { useEtcd } from '../etcd/use-etcd.ts'
import { member, stateDir } from './members.ts'

describe.skipIf(!hasEtcd)('a node that the others know by its key', () => {
  const etcd = useEtcd()

  beforeAll(async () => {
    const backend = {
      type: 'wireguard',
      port: 51_820,
      portV6: 51_821,
      mode: 'separate',
      keepalive: 0,
    } as const
    await writeNetwork(etcd.client, keysOf('/test'), { network: '10.244.0.0/16', backend })
  })

  const keyOf = (name: string) => Buffer.alloc(32, name).toString('base64')
  const start = (dir: string, name: string) =>
    member([etcd.server.endpoint], {
      dir,
      nodeName: 'a',
      publicIP: '192.0.2.1',
      describe: ({ backend: { type } }) => ({
        publicIP: '192.0.2.1',
        backendType: type,
        publicKey: keyOf(name),
      }),
    })
  const known = async () =>
    (await listLeases(etcd.client, keysOf('/test'))).map(({ node, modRevision }) => ({
      key: node?.publicKey,
      modRevision,
    }))

  test('keeps its lease as it is while it has that key, and tells them of another one', async () => {
    const dir = stateDir()
    const one = start(dir, 'x')
    await one.attempted
    const [told] = await known()
    expect(told?.key).toBe(keyOf('x'))
    await one.stop()
    const same = start(dir, 'x')
    // It had it before it asked etcd.
    expect(same.podCIDR()).toBe('10.244.1.0/24')
    await same.attempted
    expect(await known()).toEqual([told])
    await same.stop()
    const other = start(dir, 'y')
    expect(other.podCIDR()).toBeUndefined()
    await other.attempted
    expect(other.podCIDR()).toBe('10.244.1.0/24')
    expect(await known()).toMatchObject([{ key: keyOf('y') }])
    await other.stop({ release: true })
  })
})
