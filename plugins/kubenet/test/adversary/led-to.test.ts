import type { Policy } from '@podwire/api'
import { NETLINK_NETFILTER, openNetlink } from '@podwire/netlink'
import { concatenate, type Element, elements, linkName, sets, transaction } from '@podwire/netlink/nftables'
import { expect, it, onTestFinished } from 'vitest'
import { MOST_ADMITTED } from '../../src/policy/naming.ts'
import { startUpstream } from '../policy/names/upstream.ts'
import { describeIsolated, run, useMachine } from '../support/machine.ts'

const SITE = '93.184.216.34'
const SERVER = '9.9.9.9'
const REFUSED = /^(EHOSTUNREACH|EACCES|timeout)$/

const policy: Policy = {
  egress: { default: 'deny', allow: [{ host: '*.many.test' }, { host: '*.site.test', ports: [80] }] },
}

/** Names that lead to as many addresses as there can be: what one pod is led to is the kernel's and the host's to keep. */
describeIsolated('an adversary whose names lead to more and more addresses', () => {
  const machine = useMachine()

  /** A name server in league with it, that says other addresses each time. */
  async function start() {
    const outside = await machine.outside(SITE)
    await outside.serve('tcp', 80, 'outside', SITE)
    const said = new Set<string>()
    const fresh = () => {
      const address = `20.${said.size >> 16}.${(said.size >> 8) & 255}.${said.size & 255}`
      said.add(address)
      return address
    }
    const upstream = await startUpstream(({ name, type }) => {
      if (type !== 'A') return []
      if (name.endsWith('.site.test')) return [{ type, name, ttl: 600, data: SITE }]
      return Array.from({ length: 300 }, () => ({ type: 'A' as const, name, ttl: 600, data: fresh() }))
    })
    onTestFinished(() => upstream.close())
    await machine.start({ options: { nameServers: [upstream.server] } })
    for (const id of ['evil', 'other']) await machine.pod(id, { policy })
    const [evil, other] = [await machine.peer('evil'), await machine.peer('other')]
    let round = 0
    /** Until it has so many; of names that are asked for at once some get no answer in time. */
    const hoard = (atLeast: number) =>
      expect
        .poll(
          async () => {
            const own = ++round
            await evil.resolveAll(
              Array.from({ length: Math.ceil(atLeast / 50) }, (_, index) => `${own}-${index}.many.test`),
              SERVER,
            )
            return ledTo('evil').length
          },
          { timeout: 40_000 },
        )
        .toBeGreaterThanOrEqual(atLeast)
    return { evil, other, said, hoard }
  }

  const asked = <T>(ask: (netlink: ReturnType<typeof openNetlink>) => T): T => {
    using netlink = openNetlink({ protocol: NETLINK_NETFILTER })
    return ask(netlink)
  }
  const table = () => ({ family: 'inet' as const, table: machine.table })
  /** The set of what the names of the first rule led to. */
  function ledToSet() {
    const all = asked((netlink) => netlink.runSync(sets.list(table())))
    const set = all.find(({ set }) => set.startsWith('egress-allow-0-4-'))?.set ?? ''
    return { ...table(), set }
  }
  const ledTo = (id: string): Element[] => {
    const link = linkName(machine.linkOf(id))
    const all = asked((netlink) => netlink.runSync(elements.list(ledToSet())))
    return all.filter(({ key }) => link.equals(key.subarray(0, link.length)))
  }

  it('is led to no more than a pod may be, and takes nothing from another one of its policy', async () => {
    const { evil, other, said, hoard } = await start()
    await hoard(MOST_ADMITTED)
    await expect.poll(() => evil.resolve('a.site.test', SERVER)).toBe('ESERVFAIL')
    // The server said more; of each answer some are passed on.
    expect(said.size).toBeGreaterThan(MOST_ADMITTED)
    expect(ledTo('evil')).toHaveLength(MOST_ADMITTED)
    expect(await evil.ask('tcp', SITE, 80, { timeout: 700 })).toMatch(REFUSED)
    await expect.poll(() => other.resolve('b.site.test', SERVER)).toBe(SITE)
    expect(await other.ask('tcp', SITE, 80)).toMatch(/^outside/)
    // All of it comes back with rules that somebody took away, and neither is let to more by that.
    run('nft', ['flush', 'ruleset'])
    await machine.plugin.event('repair', {})
    expect(ledTo('evil')).toHaveLength(MOST_ADMITTED)
    expect(await other.ask('tcp', SITE, 80)).toMatch(/^outside/)
    expect(await evil.ask('tcp', SITE, 80, { timeout: 700 })).toMatch(REFUSED)
    expect(await other.ask('tcp', SITE, 443, { timeout: 700 })).toMatch(REFUSED)
  }, 60_000)

  it('keeps its host busy with what is its own alone when it goes, however much others have', async () => {
    const { hoard } = await start()
    await hoard(500)
    const timed = async (act: () => unknown) => {
      const began = performance.now()
      await act()
      return performance.now() - began
    }
    // Thirty other pods of the policy that did the same.
    for (let pod = 0; pod < 30; pod++) {
      const hoarded = Array.from({ length: MOST_ADMITTED }, (_, index) => ({
        key: concatenate(linkName(`pwother${pod}`), Buffer.of(21, pod, index >> 8, index & 255)),
        timeout: 600_000,
      }))
      asked((netlink) => netlink.batchSync(transaction(elements.add(ledToSet(), hoarded))))
    }
    // For twice as many the kernel takes four times as long to tell them.
    const looking = await timed(() => asked((netlink) => netlink.runSync(elements.list(ledToSet()))))
    const going = await timed(() => machine.remove('evil'))
    expect(asked((netlink) => netlink.runSync(elements.list(ledToSet())))).toHaveLength(30 * MOST_ADMITTED)
    expect(going).toBeLessThan(looking / 2)
  }, 60_000)

  it('is led to nothing where there is no room for more, and neither is anybody led to what was not', async () => {
    const { other } = await start()
    const set = ledToSet()
    // As full as the kernel lets it be, which is what 256 pods could do together.
    const hoarded = (first: number, count: number) =>
      Array.from({ length: count }, (_, index) => ({
        key: concatenate(
          linkName('pwothers'),
          Buffer.of(21 + ((first + index) >> 16), ((first + index) >> 8) & 255, (first + index) & 255, 1),
        ),
        timeout: 600_000,
      }))
    for (let first = 0; first < 1 << 20; first += 1 << 16)
      asked((netlink) => netlink.batchSync(transaction(elements.add(set, hoarded(first, 1 << 16)))))
    await expect.poll(() => other.resolve('0.many.test', SERVER)).toBe('ESERVFAIL')
    // Another rule's names, and another pod of the policy, go on.
    await expect.poll(() => other.resolve('b.site.test', SERVER)).toBe(SITE)
    expect(await other.ask('tcp', SITE, 80)).toMatch(/^outside/)
    await machine.pod('third', { policy })
    const third = await machine.peer('third')
    await expect.poll(() => third.resolve('c.site.test', SERVER)).toBe(SITE)
    expect(await third.ask('tcp', SITE, 80)).toMatch(/^outside/)
    expect(await third.ask('tcp', '192.0.2.2', 80, { timeout: 700 })).toMatch(REFUSED)
  }, 120_000)
})
