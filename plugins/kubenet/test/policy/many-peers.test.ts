import { PEER_PODS_CHANGE, type Policy } from '@podwire/api'
import { NETLINK_NETFILTER, openNetlink } from '@podwire/netlink'
import { elements, sets, watchLosses } from '@podwire/netlink/nftables'
import { beforeEach, expect, it } from 'vitest'
import { describeIsolated, never, nothing, run, useMachine } from '../support/machine.ts'

const policy: Policy = { egress: { default: 'deny', allow: [{ pod: '*/*', ports: [80] }] } }

describeIsolated('a policy that selects thousands of pods of other nodes', () => {
  const machine = useMachine()
  const nodes = Array.from({ length: 16 }, (_, node) => ({
    podCIDR: `10.100.${node}.0/24,2001:db8:${node}::/64`,
    pods: Array.from({ length: 250 }, (_, at) => ({
      namespace: 'many',
      name: `pod-${node}-${at}`,
      addresses: [`10.100.${node}.${at + 2}`, `2001:db8:${node}::${at + 2}`],
      annotations: {},
    })),
  }))
  const all = nodes.map(({ podCIDR }) => podCIDR)
  const some = ['10.100.0.2', '10.100.15.251', '2001:db8::2', '2001:db8:15::251']

  beforeEach(async () => {
    await machine.start()
    await machine.plugin.event(PEER_PODS_CHANGE, { all, changed: nodes })
  })

  /** Whether the policy has these addresses. */
  function has(...addresses: string[]) {
    const elements = new Set(run('nft', ['list', 'table', 'inet', machine.table]).split(/[\s,]+/))
    return addresses.map((address) => elements.has(address))
  }
  const check = (id: string) => machine.plugin.checkPod?.(machine.sandbox(id), never())
  const addressOf = async (id: string) => (await machine.again(id, {})).ip

  it('has them before the first pod’s link is there, and lets the event loop go on meanwhile', async () => {
    // Its tables are there.
    await machine.pod('before')
    using netlink = openNetlink({ protocol: NETLINK_NETFILTER })
    const table = { family: 'inet', table: machine.table } as const
    const sizes: number[] = []
    let isOver = false
    function look() {
      const found = netlink.runSync(sets.list(table)).find(({ set }) => set.startsWith('egress-allow-0-4'))
      if (found) sizes.push(netlink.runSync(elements.keys(found)).length)
      if (!isOver) setImmediate(look)
    }
    setImmediate(look)
    await machine.pod('first', { policy })
    isOver = true
    expect(has(...some)).toEqual([true, true, true, true])
    await check('first')
    // Four thousand addresses, a thousand at most in one turn; and the pod itself.
    expect([...new Set(sizes)].filter((size) => size > 0 && size < 4000).length).toBeGreaterThanOrEqual(3)
    for (const id of ['first', 'before']) await machine.remove(id)
    expect(machine.traces()).toEqual(nothing)
  })

  it('is left as it is for another pod that gets it, but for that pod', async () => {
    await machine.pod('first', { policy })
    using netlink = openNetlink({ protocol: NETLINK_NETFILTER })
    const lost: unknown[] = []
    const losses = watchLosses(netlink, (tables) => lost.push(tables))
    const { ip } = await machine.pod('second', { policy })
    // Told after all that was before it.
    run('nft', ['add', 'table', 'ip', 'another'])
    run('nft', ['delete', 'table', 'ip', 'another'])
    await expect.poll(() => lost).not.toEqual([])
    losses.stop()
    expect(lost.flat()).toEqual([{ family: 'ip', table: 'another' }])
    expect(has(ip, ...some)).toEqual([true, true, true, true, true])
    await check('second')
  })

  it('has the pods that came while it was filled, and not those that went', async () => {
    await machine.pod('leaving')
    await machine.pod('staying')
    const left = await addressOf('leaving')
    const filled = machine.pod('first', { policy })
    const came = machine.pod('came')
    await machine.remove('leaving')
    await Promise.all([filled, came])
    expect(has(await addressOf('came'), await addressOf('staying'), left)).toEqual([true, true, false])
    await check('first')
  })

  it('is put right for the next pod where somebody took an address away, and put another one in', async () => {
    await machine.pod('first', { policy })
    const [set = ''] = machine.traces().policies.filter((name) => name.startsWith('egress-allow-0-4'))
    run('nft', ['delete', 'element', 'inet', machine.table, set, '{ 10.100.0.2 }'])
    run('nft', ['add', 'element', 'inet', machine.table, set, '{ 192.0.2.99 }'])
    await machine.pod('second', { policy })
    expect(has('192.0.2.99', ...some)).toEqual([false, true, true, true, true])
  })

  it('loses them when they are gone, and has them again', async () => {
    await machine.pod('first', { policy })
    await machine.plugin.event(PEER_PODS_CHANGE, { all: [], changed: [] })
    expect(has(...some)).toEqual([false, false, false, false])
    // The second is told while the first is under way.
    await Promise.all([
      machine.plugin.event(PEER_PODS_CHANGE, { all, changed: nodes }),
      machine.plugin.event(PEER_PODS_CHANGE, { all: all.slice(1), changed: [] }),
    ])
    expect(has(...some)).toEqual([false, true, false, true])
    await check('first')
  })
})
