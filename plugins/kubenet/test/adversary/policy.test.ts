import type { Policy } from '@podwire/api'
import { writeSysctl } from '@podwire/netlink'
import { expect, it } from 'vitest'
import { sendFrames } from '../support/frames.ts'
import { describeIsolated, run, useMachine } from '../support/machine.ts'
import { attacks, EVIL, OUTSIDE } from './raw-attacks.ts'

/** Port 80 of one server outside, over TCP: all else must fail. Nobody may reach it. */
const policy: Policy = {
  egress: { default: 'deny', allow: [{ cidr: '192.0.2.2/32', ports: [80], protocol: 'tcp' }] },
  ingress: { default: 'deny' },
}

describeIsolated('an adversary in a pod with a policy', () => {
  const machine = useMachine()

  /** `evil` is 10.88.0.3, `victim` 10.88.0.2 with a published port; servers everywhere. */
  async function start(settings: { policy?: Policy }) {
    const outside = await machine.outside('169.254.169.254')
    await machine.start()
    const published = { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' as const }] }
    await machine.pod('victim', published)
    await machine.pod('evil', settings)
    const [host, victim, evil] = await Promise.all([
      machine.peer(),
      machine.peer('victim'),
      machine.peer('evil'),
    ])
    for (const [peer, label] of [
      [outside, 'outside'],
      [host, 'host'],
      [victim, 'victim'],
    ] as const) {
      for (const port of [53, 80, 443, 853]) await peer.serve('tcp', port, label)
      for (const port of [53, 80]) await peer.serve('udp', port, label)
    }
    // A kernel that takes packets by the way that they say.
    for (const link of ['all', machine.linkOf('evil')])
      writeSysctl(`net/ipv4/conf/${link}/accept_source_route`, 1)
    await outside.serve('udp', 81, 'outside', '169.254.169.254')
    await evil.serve('tcp', 7000, 'evil')
    return { outside, host, victim, evil }
  }

  type Scene = Awaited<ReturnType<typeof start>>

  const asks: readonly (readonly ['tcp' | 'udp', string, number, string])[] = [
    ['tcp', '192.0.2.2', 443, 'another port of an allowed server'],
    ['udp', '192.0.2.2', 80, 'another protocol of an allowed server and port'],
    ['tcp', '10.99.0.2', 80, 'another server'],
    ['tcp', '2001:db8::2', 80, 'the allowed server by IPv6'],
    ['udp', '2001:db8::2', 80, 'the allowed server by IPv6 and UDP'],
    ['udp', '192.0.2.2', 53, 'DNS of a server of its own'],
    ['tcp', '192.0.2.2', 53, 'DNS over TCP'],
    ['tcp', '192.0.2.2', 853, 'DNS over TLS'],
    ['tcp', '10.99.0.2', 443, 'DNS over HTTPS'],
    ['tcp', '10.88.0.1', 80, 'the host by its address in the network of pods'],
    ['tcp', '192.0.2.1', 80, 'the host by an address outside'],
    ['tcp', '10.99.0.1', 443, 'the host by another address outside'],
    ['udp', '10.88.0.1', 80, 'the host by UDP'],
    ['tcp', 'fd88::1', 80, 'the host by IPv6'],
    ['tcp', '2001:db8::1', 80, 'the host by an IPv6 address outside'],
    ['tcp', '10.88.0.2', 80, 'another pod'],
    ['udp', '10.88.0.2', 80, 'another pod by UDP'],
    ['tcp', 'fd88::2', 80, 'another pod by IPv6'],
    ['tcp', '10.88.0.1', 8080, 'another pod by its published port on the gateway'],
    ['tcp', '192.0.2.1', 8080, 'another pod by its published port outside'],
    ['tcp', '2001:db8::1', 8080, 'another pod by its published port in IPv6'],
    ['tcp', '169.254.169.254', 80, 'the metadata service'],
    ['udp', '169.254.169.254', 81, 'the metadata service by UDP'],
    ['udp', 'ff02::1%eth0', 80, 'the host by a multicast to all'],
    ['tcp', '10.99.0.2', 853, 'DNS over TLS of another server'],
    ['tcp', '2001:db8::2', 53, 'DNS over TCP and IPv6'],
  ]

  /** By whom the packets are counted that arrive: outside, and on the host behind all that looks at them. */
  const places = () => [
    { sent: attacks.outside, hook: 'prerouting', enter: [`--net=${machine.netnsOf('outside')}`] },
    { sent: attacks.host, hook: 'input', enter: [] },
    { sent: attacks.victim, hook: 'prerouting', enter: [`--net=${machine.netnsOf('victim')}`] },
  ]

  const rawNames = Object.values(attacks).flatMap(Object.keys)

  /** What arrived, by the names above. @param isOpen all of it is waited for */
  async function sendRaw({ evil, victim, host }: Scene, isOpen: boolean): Promise<string[]> {
    const others = [
      [victim, '10.99.0.2', 5555],
      [victim, 'fd88::1', 5556],
      [host, '10.99.0.2', 5557],
    ] as const
    const counting = places().map(({ sent, hook, enter }) => {
      const nft = (...args: string[]) => run('nsenter', [...enter, 'nft', ...args])
      nft(`add table inet seen; add chain inet seen c { type filter hook ${hook} priority 300; }`)
      nft('flush chain inet seen c')
      for (const [index, [counted]] of Object.values(sent).entries())
        nft(`add rule inet seen c ${counted} counter comment "${index}"`)
      return () => {
        const listed = nft('list', 'chain', 'inet', 'seen', 'c')
        return [...listed.matchAll(/counter packets ([1-9]\d*) .*comment "(\d+)"/g)].map(
          ([, , index]) => Object.keys(sent)[Number(index)] ?? '',
        )
      }
    })
    // What is written of others' connections is so.
    for (const [peer, address, localPort] of others)
      expect(await peer.ask('udp', address, 80, { localPort })).toMatch(/^(outside|host)/)
    const arrived = () => counting.flatMap((count) => count())
    for (const { sent } of places())
      sendFrames(
        machine.netnsOf('evil'),
        Object.values(sent).flatMap(([, ...frames]) => frames),
      )
    // What is sent later is looked at later.
    expect(await evil.ask('tcp', OUTSIDE, 80)).toMatch(/^outside/)
    if (isOpen)
      await expect
        .poll(() => arrived().length, { timeout: 20_000 })
        .toBe(rawNames.length)
        .catch(() => {})
    return arrived()
  }

  async function reached(scene: Scene, isOpen = false): Promise<string[]> {
    const { outside, victim, host, evil } = scene
    // Where it is open, it is slow at most.
    const timeout = isOpen ? 10_000 : 1_500
    const all = await Promise.all(
      asks.map(async ([protocol, address, port, what]) => {
        const answer = await evil.ask(protocol, address, port, { timeout })
        return /^(outside|host|victim) /.test(answer) ? [what] : []
      }),
    )
    const comers = { outside, victim, host }
    const visits = await Promise.all(
      Object.entries(comers).map(async ([who, peer]) =>
        (await peer.ask('tcp', EVIL, 7000, { timeout })).startsWith('evil') ? [`reached by ${who}`] : [],
      ),
    )
    return [...all.flat(), ...visits.flat(), ...(await sendRaw(scene, isOpen))]
  }

  it('reaches nothing by any of these ways, and by each of them where there is no policy', async () => {
    const scene = await start({ policy })
    expect(await scene.evil.ask('tcp', '192.0.2.2', 80)).toMatch(/^outside/)
    expect(await reached(scene)).toEqual([])
    expect(await scene.evil.ask('tcp', '192.0.2.2', 80)).toMatch(/^outside/)
    await machine.again('evil')
    const names = [
      ...asks.map(([, , , what]) => what),
      ...['outside', 'victim', 'host'].map((who) => `reached by ${who}`),
      ...rawNames,
    ]
    expect((await reached(scene, true)).sort()).toEqual(names.sort())
  })

  it('gets no packet out by racing the set-up, or changes of its policy', async () => {
    const outside = await machine.outside()
    await outside.listen(4010, '192.0.2.2')
    await machine.start()
    machine.sandbox('evil')
    // It sends before it has a link, and goes on.
    const evil = await machine.peer('evil')
    await evil.spray('192.0.2.2', 4010)
    await machine.pod('evil', { policy })
    for (let change = 0; change < 30; change++)
      await machine.again('evil', {
        policy: { ...policy, egress: { default: 'deny', allow: [{ cidr: `10.1.${change}.0/24` }] } },
      })
    expect(await outside.heard()).toEqual([])
    await machine.again('evil')
    await expect.poll(() => outside.heard().then(({ length }) => length)).toBeGreaterThan(0)
  })
})
