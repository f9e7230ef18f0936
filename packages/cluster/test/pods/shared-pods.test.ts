import { beforeEach, describe, expect, test } from 'vitest'
import { hasEtcd, until } from '../../../../.dev/etcd-server.ts'
import { keysOf, releaseLease, writeNetwork } from '../../src/index.ts'
import { useEtcd } from '../etcd/use-etcd.ts'
import { startProxy } from '../faults/proxy.ts'
import { afterThis } from '../leases/members.ts'
import { podOf, startNode, type TestNode } from './nodes.ts'

describe.skipIf(!hasEtcd)('nodes that share one network', () => {
  const etcd = useEtcd()
  let prefix = ''

  beforeEach(async () => {
    prefix = etcd.nextPrefix()
    await writeNetwork(etcd.client, keysOf(prefix), {
      network: '10.244.0.0/16',
      backend: { type: 'host-gw' },
    })
  })

  const start = (options: Parameters<typeof startNode>[2] = {}) =>
    startNode([etcd.server.endpoint], prefix, options)
  const heardBy = async (node: TestNode, ...pods: string[]) =>
    expect.poll(node.heard, { timeout: 20_000 }).toEqual(pods.sort())
  /** How often this prefix's pods were written. */
  const revision = async () => (await etcd.client.list(prefix)).revision
  const key = (node: TestNode, name: string) => `${prefix}/pods/${node.place}/default/${name}`

  test('know the pods of the others while they are there, with the annotations that are shared', async () => {
    const [a, b] = [await start(), await start()]
    a.pods.setAll([podOf(a, 'old', 2)])
    b.pods.setAll([])
    await heardBy(b, 'default/old 10.244.1.2')
    a.pods.set(podOf(a, 'web', 3, { annotations: { app: 'web' } }))
    a.pods.remove(`${a.nodeName}-old`)
    await heardBy(b, 'default/web 10.244.1.3')
    expect([...b.known]).toEqual([
      [
        '10.244.1.0/24',
        [{ namespace: 'default', name: 'web', addresses: ['10.244.1.3'], annotations: { app: 'web' } }],
      ],
    ])
    b.pods.set(podOf(b, 'client', 2))
    await heardBy(a, 'default/client 10.244.2.2')
    // Who asks for all hears all.
    b.known.clear()
    b.pods.repeat()
    await heardBy(b, 'default/web 10.244.1.3')
    a.pods.remove(`${a.nodeName}-web`)
    await heardBy(b)
    expect(b.refused).toEqual([])
    expect([a.pods.problem, b.pods.problem]).toEqual([undefined, undefined])
  })

  test('write what happens together in one transaction, and nothing for what is so already', async () => {
    const [a, b] = [await start(), await start()]
    a.pods.setAll([])
    await until(async () => a.pods.problem === undefined)
    const before = await revision()
    for (let at = 2; at < 82; at++) a.pods.set(podOf(a, `pod-${at}`, at))
    await expect.poll(() => b.heard().length, { timeout: 20_000 }).toBe(80)
    expect((await revision()) - before).toBe(1)
    const again = Array.from({ length: 80 }, (_, at) => podOf(a, `pod-${at + 2}`, at + 2))
    a.pods.setAll(again)
    a.pods.set(podOf(a, 'last', 99))
    await expect.poll(() => b.heard().length, { timeout: 20_000 }).toBe(81)
    expect((await revision()) - before).toBe(2)
    // Several sandboxes of one pod are one record.
    const further = { sandboxId: 'further', addresses: ['10.244.1.200'] }
    a.pods.setAll([podOf(a, 'last', 99), podOf(a, 'last', 99, further)])
    await heardBy(b, 'default/last 10.244.1.200,10.244.1.99')
  })

  test('put right after a crash what etcd has of their pods, and what somebody changed of it', async () => {
    const a = await start()
    const b = await start()
    a.pods.setAll([podOf(a, 'stays', 2), podOf(a, 'goes', 3)])
    await heardBy(b, 'default/goes 10.244.1.3', 'default/stays 10.244.1.2')
    // Nobody tells of the tear-down, as after kill -9.
    await a.stop()
    const again = await start({ nodeName: a.nodeName, dir: a.dir })
    expect(again.place).toBe(a.place)
    // Before its pods are known nothing is taken away.
    await heardBy(again)
    await heardBy(b, 'default/goes 10.244.1.3', 'default/stays 10.244.1.2')
    again.pods.setAll([podOf(again, 'stays', 2), podOf(again, 'new', 4)])
    await heardBy(b, 'default/new 10.244.1.4', 'default/stays 10.244.1.2')
    await etcd.client.transaction(
      [],
      [{ delete: key(again, 'stays') }, { put: key(again, 'new'), value: '{}' }],
    )
    await until(() => b.heard().length < 2)
    await heardBy(b, 'default/new 10.244.1.4', 'default/stays 10.244.1.2')
    await etcd.client.transaction([], [{ put: key(again, 'never'), value: '{"addresses":["10.244.1.9"]}' }])
    await until(async () => (await etcd.client.get(key(again, 'never'))) === undefined)
  })

  test('have no pods of a node whose lease ended, was taken, or was given back', async () => {
    const [a, b, c] = [await start(), await start({ leaseTtl: 5 }), await start()]
    for (const [at, node] of [a, b, c].entries()) node.pods.setAll([podOf(node, `pod-${at}`, 2)])
    await heardBy(a, 'default/pod-1 10.244.2.2', 'default/pod-2 10.244.3.2')
    // A daemon that stops leaves its pods; they end with its lease.
    await b.stop()
    expect(a.heard()).toHaveLength(2)
    await heardBy(a, 'default/pod-2 10.244.3.2')
    expect(await etcd.client.get(`${prefix}/pods/10.244.2.0-24/default/pod-1`)).toBeUndefined()
    const [before, told] = [c.lease.id, a.changes.length]
    await releaseLease(etcd.client, keysOf(prefix), c.nodeName, { force: true })
    const isWithdrawn = () =>
      a.changes
        .slice(told)
        .some(({ changed }) =>
          changed.some(({ podCIDR, pods }) => podCIDR === '10.244.3.0/24' && !pods.length),
        )
    await until(isWithdrawn)
    // It leases the same addresses anew, and its pods are told under that lease.
    await heardBy(a, 'default/pod-2 10.244.3.2')
    expect(c.lease.id).not.toBe(before)
    await c.stop({ release: true })
    await heardBy(a)
    expect((await etcd.client.list(`${prefix}/pods/10.244.3`)).entries).toEqual([])
  })

  test('of which one is fenced: it knows of no pods, and of all when it joins again', async () => {
    const [a, b] = [await start(), await start()]
    a.pods.setAll([podOf(a, 'web', 2)])
    await heardBy(b, 'default/web 10.244.1.2')
    const config = `${prefix}/config`
    const { value = '' } = (await etcd.client.get(config)) ?? {}
    await etcd.client.transaction([], [{ put: config, value: '{}' }])
    await releaseLease(etcd.client, keysOf(prefix), b.nodeName, { force: true })
    await heardBy(b)
    expect(b.changes.at(-1)).toEqual({ all: [], changed: [] })
    await etcd.client.transaction([], [{ put: config, value }])
    await heardBy(b, 'default/web 10.244.1.2')
  })

  test('are told again what could not be taken', async () => {
    const a = await start()
    let isRefused = true
    const b = await start({
      take: () => {
        if (isRefused) throw new Error('not now')
      },
    })
    a.pods.setAll([podOf(a, 'web', 2)])
    await until(() => b.log.entries.some(({ message }) => message.includes('not now')))
    isRefused = false
    await heardBy(b, 'default/web 10.244.1.2')
  })

  test('with a reservation tell of their pods too, until these end', async () => {
    const subnets = `${prefix}/subnets/`
    const reserved = { nodeName: 'reserved-1', leaseTtl: 5 }
    await etcd.client.transaction(
      [],
      [{ put: `${subnets}10.244.77.0-24`, value: '{"NodeName":"reserved-1","BackendType":"reserved"}' }],
    )
    const [a, b] = [await start(reserved), await start()]
    expect(a.lease.id).toBeUndefined()
    a.pods.setAll([podOf(a, 'web', 2)])
    await heardBy(b, 'default/web 10.244.77.2')
    // Longer than a lease.
    await new Promise((resolve) => setTimeout(resolve, 8_000))
    await heardBy(b, 'default/web 10.244.77.2')
    await a.stop()
    await heardBy(b)
  })

  test('go on with what they know while etcd is away, and hear what happened meanwhile', async () => {
    const [a, b] = [await start(), await start()]
    a.pods.setAll([podOf(a, 'web', 2), podOf(a, 'goes', 3)])
    await heardBy(b, 'default/goes 10.244.1.3', 'default/web 10.244.1.2')
    await etcd.server.kill()
    a.pods.remove(`${a.nodeName}-goes`)
    a.pods.set(podOf(a, 'new', 4))
    await until(() => a.log.entries.some(({ message }) => message.includes('are not told')))
    expect(b.heard()).toHaveLength(2)
    await etcd.server.restart()
    await heardBy(b, 'default/new 10.244.1.4', 'default/web 10.244.1.2')
    await until(() => a.pods.problem === undefined)
  })

  test('list again what etcd forgot', async () => {
    const proxy = await startProxy(etcd.server.endpoint)
    const [a, b] = [await start(), await startNode([proxy.endpoint], prefix)]
    a.pods.setAll([podOf(a, 'web', 2), podOf(a, 'goes', 3)])
    await heardBy(b, 'default/goes 10.244.1.3', 'default/web 10.244.1.2')
    const told = b.changes.length
    // While b hears nothing its place in etcd's history goes.
    proxy.set('refused')
    await until(() => b.pods.problem !== undefined)
    a.pods.remove(`${a.nodeName}-goes`)
    await until(async () => (await etcd.client.get(key(a, 'goes'))) === undefined)
    await etcd.server.ctl('put', '/elsewhere', '')
    await etcd.server.ctl('compact', String((await etcd.client.list('/')).revision))
    expect(b.heard()).toHaveLength(2)
    proxy.set('open')
    await heardBy(b, 'default/web 10.244.1.2')
    expect(b.log.entries.map(({ message }) => message).join()).toContain(
      'the pods of other nodes are listed again',
    )
    // Of what is as it was nobody is told.
    expect(b.changes.slice(told).map(({ changed }) => changed.length)).toEqual([1])
  })

  test('of one name both hear of it, and the first one has the name', async () => {
    const [a, b, c] = [await start(), await start(), await start()]
    for (const node of [a, b, c]) node.pods.setAll([])
    a.pods.set(podOf(a, 'web', 2))
    await heardBy(c, 'default/web 10.244.1.2')
    b.pods.set(podOf(b, 'web', 2))
    await heardBy(c, 'default/web 10.244.1.2', 'default/web 10.244.2.2 (second)')
    await expect.poll(() => a.refused).toEqual([expect.stringMatching(/10\.244\.2\.0\/24.*later/)])
    await expect.poll(() => b.refused).toEqual([expect.stringMatching(/10\.244\.1\.0\/24.*first/)])
    expect(c.refused).toEqual([])
    // A change of the first one keeps it the first.
    a.pods.set(podOf(a, 'web', 9))
    await heardBy(c, 'default/web 10.244.1.9', 'default/web 10.244.2.2 (second)')
    a.pods.remove(`${a.nodeName}-web`)
    await heardBy(c, 'default/web 10.244.2.2')
  })

  test('take nothing from etcd that can not be, and are told of it', async () => {
    const [a, b] = [await start(), await start()]
    a.pods.setAll([podOf(a, 'web', 2)])
    await heardBy(b, 'default/web 10.244.1.2')
    const lease = a.lease.id
    const record = (...addresses: string[]) => JSON.stringify({ addresses })
    const pods = `${prefix}/pods/${a.place}`
    const strange: readonly [string, string][] = [
      [`${pods}/default/not-its-own`, record('10.244.2.7')],
      [`${pods}/default/elsewhere`, record('192.0.2.1')],
      [`${pods}/default/mixed`, record('10.244.1.7', '10.244.9.1')],
      [`${pods}/default/mapped`, record('::ffff:10.244.1.7')],
      [
        `${pods}/default/large`,
        JSON.stringify({ addresses: ['10.244.1.7'], annotations: { a: 'x'.repeat(1_000_000) } }),
      ],
      [`${pods}/default/none`, record()],
      [`${pods}/default/garbage`, '\u0000\u001b[2J{'],
      [`${pods}/default/typed`, '{"addresses":["10.244.1.7"],"annotations":{"a":1}}'],
      [`${pods}/Default/upper`, record('10.244.1.7')],
      [`${pods}/default/..`, record('10.244.1.7')],
      [`${pods}/default/a/b`, record('10.244.1.7')],
      [`${pods}/default`, record('10.244.1.7')],
      [`${prefix}/pods/10.244.1.1-24/default/host-bits`, record('10.244.1.7')],
    ]
    // The node itself would take away what it did not write.
    await a.stop()
    for (const [at, value] of strange) await etcd.client.transaction([], [{ put: at, value, lease }])
    // Of the node that reads it, of no lease, of another lease, and of a node that nobody is.
    await etcd.client.transaction(
      [],
      [{ put: `${prefix}/pods/${b.place}/default/mine`, value: record('10.244.2.9'), lease }],
    )
    await etcd.client.transaction([], [{ put: `${pods}/default/no-lease`, value: record('10.244.1.8') }])
    await etcd.client.transaction(
      [],
      [{ put: `${pods}/default/others`, value: record('10.244.1.8'), lease: b.lease.id }],
    )
    await etcd.client.transaction(
      [],
      [{ put: `${prefix}/pods/10.244.99.0-24/default/x`, value: record('10.244.99.8'), lease }],
    )
    await etcd.client.transaction([], [{ put: `${pods}/default/right`, value: record('10.244.1.5'), lease }])
    await heardBy(b, 'default/right 10.244.1.5', 'default/web 10.244.1.2')
    await expect.poll(() => b.refused.length, { timeout: 10_000 }).toBeGreaterThanOrEqual(strange.length)
    for (const [at] of strange) expect(b.refused.join('\n')).toContain(`${at}: `)
    expect(b.refused.join('\n')).toContain(
      '"10.244.2.7" is not an address of its node, which has 10.244.1.0-24',
    )
    expect(b.refused.join('\n')).toContain('1000')
    expect(b.pods.problem).toContain("pods can't be")
    // A list has the same.
    const again = await start({ nodeName: 'again' })
    await heardBy(again, 'default/right 10.244.1.5', 'default/web 10.244.1.2')
    // What is put right is taken.
    await etcd.client.transaction([], [{ put: `${pods}/default/none`, value: record('10.244.1.6'), lease }])
    await heardBy(b, 'default/none 10.244.1.6', 'default/right 10.244.1.5', 'default/web 10.244.1.2')
  })

  test('have by a lease within another one, or outside of the network, no pods of others', async () => {
    const [a, b] = [await start(), await start()]
    a.pods.setAll([podOf(a, 'web', 2), podOf(a, 'far', 200)])
    await heardBy(b, 'default/far 10.244.1.200', 'default/web 10.244.1.2')
    const { id } = await etcd.client.grant(60)
    afterThis(() => etcd.client.revoke(id))
    const node = '{"PublicIP":"192.0.2.66","BackendType":"host-gw","NodeName":"evil"}'
    const claim = (subnet: string, ...addresses: string[]) =>
      etcd.client.transaction(
        [],
        [
          { put: `${prefix}/subnets/${subnet}`, value: node, lease: id },
          ...addresses.map((address, at) => ({
            put: `${prefix}/pods/${subnet}/default/evil-${at}`,
            value: JSON.stringify({ addresses: [address] }),
            lease: id,
          })),
        ],
      )
    // It may say what is within its subnet and in no other: not what another node leases, and not what is this node's own.
    await claim('10.244.0.0-17', '10.244.1.2', '10.244.2.5', '10.244.100.5')
    await claim('192.0.2.0-24', '192.0.2.1')
    await expect.poll(() => b.refused.join('\n'), { timeout: 10_000 }).toContain('not of the network')
    expect(b.refused.join('\n')).toContain("has addresses of this node's own pod CIDR")
    await heardBy(b, 'default/far 10.244.1.200', 'default/web 10.244.1.2')
    // Of a third node's it is the lease within that counts.
    await claim('10.244.128.0-18', '10.244.128.5', '10.244.130.5')
    await claim('10.244.128.0-24')
    await heardBy(b, 'default/evil-1 10.244.130.5', 'default/far 10.244.1.200', 'default/web 10.244.1.2')
  })

  test('of which one writes without end know a part of its pods, and all of the others', async () => {
    const [a, b] = [await start(), await start()]
    b.pods.setAll([podOf(b, 'web', 2)])
    a.pods.setAll([])
    const { id } = await etcd.client.grant(60)
    afterThis(() => etcd.client.revoke(id))
    const node = '{"PublicIP":"192.0.2.66","BackendType":"host-gw","NodeName":"loud"}'
    await etcd.client.transaction([], [{ put: `${prefix}/subnets/10.244.64.0-18`, value: node, lease: id }])
    const puts = Array.from({ length: 5_000 }, (_, at) => ({
      put: `${prefix}/pods/10.244.64.0-18/default/pod-${at}`,
      value: JSON.stringify({ addresses: [`10.244.${64 + (at >> 8)}.${at & 255}`] }),
      lease: id,
    }))
    while (puts.length > 0) await etcd.client.transaction([], puts.splice(0, 100))
    await expect.poll(() => a.heard().length, { timeout: 20_000 }).toBe(4_097)
    expect(a.heard()).toContain('default/web 10.244.2.2')
    await expect.poll(() => a.refused.at(-1), { timeout: 10_000 }).toMatch(/and \d+ more|too many/)
    // Where there is room again the rest is heard.
    const late = await start({ nodeName: 'late' })
    await expect.poll(() => late.heard().length, { timeout: 20_000 }).toBe(4_097)
  })
})
