import type { DeniedFlow, Policy } from '@podwire/api'
import { expect, it, onTestFinished } from 'vitest'
import { startUpstream, type Upstream } from '../policy/names/upstream.ts'
import { describeIsolated, run, useMachine } from '../support/machine.ts'

const [ALLOWED, DENIED, METADATA] = ['93.184.216.34', '93.184.216.35', '169.254.169.254']
/** A name server of the adversary's own. */
const OWN = '192.0.2.2'

const policy: Policy = {
  egress: { default: 'deny', allow: [{ host: '*.allowed.test' }], deny: [{ host: 'secret.allowed.test' }] },
}

/** Where names lead by their second answer. */
const rebound: Readonly<Record<string, string>> = {
  'rebound-1.allowed.test': '10.99.0.2',
  'rebound-2.allowed.test': METADATA,
  'rebound-3.allowed.test': '192.0.2.1',
}

const addresses: Readonly<Record<string, string>> = {
  ...rebound,
  'www.allowed.test': ALLOWED,
  'secret.allowed.test': DENIED,
  'denied.test': DENIED,
  'private.allowed.test': '10.99.0.2',
  'metadata.allowed.test': METADATA,
  'loopback.allowed.test': '127.0.0.1',
  'host.allowed.test': '192.0.2.1',
  'short.allowed.test': ALLOWED,
}

describeIsolated('an adversary in a pod whose policy has names', () => {
  const machine = useMachine()

  /** All that a name leads to answers; so does a name server outside, which knows the same names. */
  async function start(given?: Policy, ttl = 60) {
    const outside = await machine.outside(ALLOWED, DENIED, METADATA)
    for (const address of [ALLOWED, DENIED, METADATA, '10.99.0.2'])
      await outside.serve('tcp', 80, 'outside', address)
    await (await machine.peer()).serve('tcp', 80, 'host')
    for (const port of [53, 5353]) await outside.serveNames(port, addresses)
    const answer: Upstream['answer'] = ({ name, type }) => {
      if (type === 'A' && name === 'alias.allowed.test')
        return [
          { type: 'CNAME', name, ttl, data: 'internal.test' },
          { type: 'A', name: 'internal.test', ttl, data: '10.99.0.2' },
        ]
      const data = addresses[name.toLowerCase()]
      return data === undefined || type !== 'A' ? [] : [{ type: 'A', name, ttl, data }]
    }
    const upstream = await startUpstream(answer)
    onTestFinished(() => upstream.close())
    await machine.start({ options: { nameServers: [upstream.server] } })
    await machine.pod('evil', given ? { policy: given } : {})
    return { evil: await machine.peer('evil'), upstream }
  }

  /** By name of the attack: what it asks, and then where it goes to. */
  const ways: Readonly<
    Record<string, { readonly ask?: readonly [name: string, server: string]; readonly to: string }>
  > = {
    'an address that it knew beforehand': { to: DENIED },
    'a name that is not allowed': { ask: ['denied.test', OWN], to: DENIED },
    'a name that is denied among allowed ones': { ask: ['secret.allowed.test', OWN], to: DENIED },
    'a denied name in other letters': { ask: ['SeCret.Allowed.TEST', OWN], to: DENIED },
    'a denied name with a dot at its end': { ask: ['secret.allowed.test.', OWN], to: DENIED },
    'a name server of its own at another port': { ask: ['denied.test', `${OWN}:5353`], to: DENIED },
    'an allowed name that leads to a private address': {
      ask: ['private.allowed.test', OWN],
      to: '10.99.0.2',
    },
    'an alias that leads to a private address': { ask: ['alias.allowed.test', OWN], to: '10.99.0.2' },
    'an allowed name that leads to the metadata service': {
      ask: ['metadata.allowed.test', OWN],
      to: METADATA,
    },
    'an allowed name that leads to the host': { ask: ['host.allowed.test', OWN], to: '192.0.2.1' },
  }

  it('reaches nothing by any of these ways, and by each of them where there is no policy', async () => {
    const { evil } = await start(policy)
    const reached = async (timeout = 1000) => {
      const found: string[] = []
      for (const [what, { ask, to }] of Object.entries(ways)) {
        if (ask) await evil.resolve(...ask)
        const answer = await evil.ask('tcp', to, 80, { timeout })
        if (/^(outside|host) /.test(answer)) found.push(what)
      }
      return found
    }
    expect(await evil.resolve('www.allowed.test', OWN)).toBe(ALLOWED)
    expect(await evil.ask('tcp', ALLOWED, 80)).toMatch(/^outside/)
    expect(await reached()).toEqual([])
    await machine.again('evil')
    expect(await evil.resolve('denied.test', OWN)).toBe(DENIED)
    expect(await evil.resolve('denied.test', `${OWN}:5353`)).toBe(DENIED)
    expect(await reached(10_000)).toEqual(Object.keys(ways))
  })

  it('has nothing leave the host in names where its policy has pods alone, however it asks', async () => {
    const { evil, upstream } = await start({ egress: { default: 'deny', allow: [{ pod: 'test/*' }] } })
    const outside = await machine.peer('outside')
    await outside.listen(5454, OWN)
    const { ip } = await machine.pod('web')
    expect(await evil.resolve('web.test.pod', OWN)).toBe(ip)
    const asked = Object.values(ways).flatMap(({ ask }) => (ask ? [ask[0]] : []))
    for (const server of [OWN, '9.9.9.9', '10.88.0.1', ip, `${OWN}:5353`, `${OWN}:5454`])
      for (const name of [...asked, 'secret.web.test.pod', 'a.pod', 'pod', '.'])
        expect(await evil.resolve(name, server), `${name} at ${server}`).toMatch(/^E/)
    expect(await evil.resolveByTcp('denied.test', OWN)).toBe('rcode 3')
    expect(upstream.asked).toEqual([])
    expect(await outside.heard()).toEqual([])
    await machine.again('evil')
    await evil.resolve('denied.test', `${OWN}:5454`)
    expect(await outside.heard()).not.toEqual([])
  }, 60_000)

  it('asks no server of its own over TCP either, and nobody hears of a name that is not allowed', async () => {
    const { evil, upstream } = await start(policy)
    expect(await evil.resolveByTcp('denied.test', OWN)).toBe('rcode 3')
    expect(await evil.resolveByTcp('www.allowed.test', OWN)).toBe(ALLOWED)
    expect(upstream.asked.filter((asked) => /denied/.test(asked))).toEqual([])
    await machine.again('evil')
    expect(await evil.resolveByTcp('denied.test', OWN)).toBe(DENIED)
  })

  it('carries little out in names below one that is allowed, and is told of', async () => {
    const { evil, upstream } = await start(policy)
    const label = 'x'.repeat(60)
    const names = (prefix: string) =>
      Array.from({ length: 600 }, (_, n) => `${prefix}${n}.${label}.${label}.${label}.allowed.test`)
    const began = performance.now()
    await evil.resolveAll(names('a'), OWN)
    const seconds = (performance.now() - began) / 1000
    const carried = upstream.asked.reduce((sum, asked) => sum + asked.length, 0)
    // 64 kB saved up, and a kilobyte a second; with what is before each name in the list.
    expect(carried).toBeGreaterThan(50_000)
    expect(carried).toBeLessThan((65_000 + 1_000 * seconds) * 1.05)
    const limited = () =>
      machine.host.reports
        .filter(({ event }) => event === 'flow:denied')
        .map(({ details }) => details as unknown as DeniedFlow) // kubenet's own
        .filter(({ rule }) => rule === 'limit')
    await expect.poll(() => limited().length).toBeGreaterThan(0)
    // Without a policy they go where they are sent to, all of them.
    await machine.again('evil')
    const outside = await machine.peer('outside')
    await outside.listen(5454, OWN)
    await evil.resolveAll(names('b'), `${OWN}:5454`)
    expect((await outside.heard()).length).toBeGreaterThan(500)
  }, 60_000)

  it('does not reach an address when the time of its name is over, and does by a connection that it has', async () => {
    const { evil } = await start(policy, 1)
    const outside = await machine.peer('outside')
    await outside.serveLines(81)
    expect(await evil.resolve('short.allowed.test', OWN)).toBe(ALLOWED)
    const lines = await evil.connectLines(ALLOWED, 81)
    const reach = () => evil.ask('tcp', ALLOWED, 80, { timeout: 10_000 })
    expect(await reach()).toMatch(/^outside/)
    const [name = ''] = /egress-allow-0-4-[0-9a-f]{32}/.exec(run('nft', ['list', 'sets', 'inet'])) ?? []
    const set = ['inet', machine.table, name]
    const element = `"${machine.linkOf('evil')}" . ${ALLOWED}`
    const listed = () => run('nft', ['list', 'set', ...set])
    expect(listed()).toMatch(/93\.184\.216\.34 timeout \w+ expires \w+/)
    // The kernel takes it out by itself. What is left of its time is taken away here, as it is a minute and a half.
    run('nft', ['delete', 'element', ...set, `{ ${element} }`])
    run('nft', ['add', 'element', ...set, `{ ${element} timeout 1s }`])
    await expect.poll(reach, { timeout: 20_000, interval: 500 }).toBe('EHOSTUNREACH')
    expect(await lines.say('hello')).toContain('hello')
  })

  it('reaches nothing of the host or its networks by names that led elsewhere at first', async () => {
    const { evil, upstream } = await start(policy, 1)
    const answer = upstream.answer
    let isRebound = false
    upstream.answer = (asked) =>
      asked.name in rebound && asked.type === 'A' && !isRebound
        ? [{ type: 'A', name: asked.name, ttl: 1, data: ALLOWED }]
        : answer(asked)
    for (const name of Object.keys(rebound)) expect(await evil.resolve(name, OWN)).toBe(ALLOWED)
    isRebound = true
    const reached = async (timeout = 700) => {
      const found: string[] = []
      for (const [name, address] of Object.entries(rebound)) {
        await evil.resolve(name, OWN)
        if (/^(outside|host) /.test(await evil.ask('tcp', address, 80, { timeout }))) found.push(name)
      }
      return found
    }
    // Once what is kept of the answers before is over.
    for (const name of Object.keys(rebound))
      await expect.poll(() => evil.resolve(name, OWN), { timeout: 20_000 }).toBe('ENODATA')
    expect(await reached()).toEqual([])
    await machine.again('evil')
    expect(await reached(10_000)).toEqual(Object.keys(rebound))
  }, 60_000)

  it('has nothing of what a name opened to another pod, of its own policy too', async () => {
    const { evil } = await start(policy)
    const denied: Policy = { egress: { default: 'deny', allow: [{ host: 'denied.test' }] } }
    await machine.pod('other', { policy: denied })
    await machine.pod('twin', { policy })
    const [other, twin] = [await machine.peer('other'), await machine.peer('twin')]
    expect(await other.resolve('denied.test', OWN)).toBe(DENIED)
    expect(await other.ask('tcp', DENIED, 80)).toMatch(/^outside/)
    expect(await evil.ask('tcp', DENIED, 80, { timeout: 10_000 })).toBe('EHOSTUNREACH')
    expect(await twin.resolve('www.allowed.test', OWN)).toBe(ALLOWED)
    expect(await twin.ask('tcp', ALLOWED, 80)).toMatch(/^outside/)
    expect(await evil.ask('tcp', ALLOWED, 80, { timeout: 10_000 })).toBe('EHOSTUNREACH')
    // When the other one is gone, what it was led to goes with it, and the policy stays.
    expect(await evil.resolve('www.allowed.test', OWN)).toBe(ALLOWED)
    const led = () =>
      run('nft', ['list', 'table', 'inet', machine.table]).match(/"pw\w+" \. 93\.184\.216\.34 timeout/g)
    expect(led()).toHaveLength(2)
    await machine.remove('twin')
    expect(led()).toHaveLength(1)
    expect(await evil.ask('tcp', ALLOWED, 80)).toMatch(/^outside/)
  })
})
