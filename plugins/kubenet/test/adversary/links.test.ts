import type { Policy } from '@podwire/api'
import { createNetns, removeNetns, writeSysctl } from '@podwire/netlink'
import { expect, it, onTestFinished } from 'vitest'
import { describeIsolated, run, useMachine } from '../support/machine.ts'
import type { Peer } from '../support/peer.ts'

const VICTIM = '10.88.0.2'
const EVIL = '10.88.0.3'
const GATEWAY = '169.254.1.1'

/** Whether this kernel has no such links: what needs them is skipped by name. */
const lacks = (kind: string): boolean => {
  const name = `probe-${kind}`
  try {
    run('ip', [
      'link',
      'add',
      'link',
      'lo',
      'name',
      name,
      'type',
      kind,
      ...(kind === 'vlan' ? ['id', '7'] : []),
    ])
    run('ip', ['link', 'del', name])
    return false
  } catch (error) {
    return /not supported|Unknown device type/i.test(String(error))
  }
}

/**
 * Links that a pod makes inside, as its root, to send by them under the victim's address. `device` sends, and what is made may
 * change how eth0 is.
 */
const makings: Readonly<
  Record<string, { readonly kind?: string; make(inside: Inside): void; readonly device: string }>
> = {
  'a second address on its own link': { device: 'eth0', make: () => {} },
  'its own link with another MAC address': {
    device: 'eth0',
    make: (inside) => {
      inside('ip', 'link', 'set', 'eth0', 'down')
      inside('ip', 'link', 'set', 'eth0', 'address', '0a:58:0a:58:00:02')
      inside('ip', 'link', 'set', 'eth0', 'up')
      inside('ip', 'route', 'replace', 'default', 'via', GATEWAY, 'dev', 'eth0', 'onlink')
      inside('ip', 'neigh', 'replace', GATEWAY, 'lladdr', '0a:58:a9:fe:01:01', 'dev', 'eth0')
    },
  },
  'a macvlan': {
    kind: 'macvlan',
    device: 'mv0',
    make: (inside) =>
      inside(
        'ip',
        'link',
        'add',
        'link',
        'eth0',
        'name',
        'mv0',
        'address',
        '0a:58:0a:58:00:02',
        'type',
        'macvlan',
        'mode',
        'bridge',
      ),
  },
  'an ipvlan': {
    kind: 'ipvlan',
    device: 'iv0',
    make: (inside) =>
      inside('ip', 'link', 'add', 'link', 'eth0', 'name', 'iv0', 'type', 'ipvlan', 'mode', 'l2'),
  },
  'a VLAN': {
    kind: 'vlan',
    device: 'v7',
    make: (inside) => inside('ip', 'link', 'add', 'link', 'eth0', 'name', 'v7', 'type', 'vlan', 'id', '7'),
  },
  'a bridge that its link is in': {
    device: 'br0',
    make: (inside) => {
      inside('ip', 'link', 'add', 'br0', 'address', '0a:58:0a:58:00:02', 'type', 'bridge')
      inside('ip', 'link', 'set', 'br0', 'up')
      inside('ip', 'link', 'set', 'eth0', 'master', 'br0')
    },
  },
}

type Inside = (...command: string[]) => string

// What each needs to arrive: the rules for pods' links flushed, and no strict reverse path.
describeIsolated('an adversary that makes links in its pod', () => {
  const machine = useMachine()
  const inside: Inside = (...command) => run('nsenter', [`--net=${machine.netnsOf('evil')}`, ...command])

  async function start(policy?: Policy) {
    await machine.outside()
    await machine.start()
    for (const id of ['victim', 'evil']) await machine.pod(id, id === 'evil' && policy ? { policy } : {})
    const host = await machine.peer()
    await host.listen(7000, '0.0.0.0')
    return { host, evil: await machine.peer('evil') }
  }

  /** Sends to the host as the victim, by the device. */
  async function sendAsVictim(evil: Peer, device: string) {
    inside('ip', 'link', 'set', device, 'up')
    inside('ip', 'addr', 'replace', `${VICTIM}/32`, 'dev', device)
    inside('ip', 'route', 'replace', '10.88.0.1', 'via', GATEWAY, 'dev', device, 'onlink', 'src', VICTIM)
    inside('ip', 'neigh', 'replace', GATEWAY, 'lladdr', '0a:58:a9:fe:01:01', 'dev', device)
    await evil.say('10.88.0.1', 7000, 'spoofed', VICTIM)
  }

  // A VLAN's frames carry a tag that no link of the host speaks.
  for (const [what, { kind, make, device }] of Object.entries(makings))
    it.skipIf(kind !== undefined && lacks(kind)).each([kind ? `${what} (needs the kernel's ${kind})` : what])(
      "sends nothing under another pod's address by %s",
      async () => {
        const { host, evil } = await start()
        await evil.say('10.88.0.1', 7000, 'rightful')
        await expect.poll(() => host.heard()).toEqual([`rightful ${EVIL}`])
        make(inside)
        await sendAsVictim(evil, device)
        // What came later was looked at later.
        const victim = await machine.peer('victim')
        await victim.say('10.88.0.1', 7000, 'after')
        await expect.poll(() => host.heard()).toEqual([`rightful ${EVIL}`, `after ${VICTIM}`])
        run('nft', ['flush', 'chain', 'inet', machine.table, 'from-pods'])
        for (const link of [machine.linkOf('evil'), 'all']) writeSysctl(`net/ipv4/conf/${link}/rp_filter`, 0)
        if (device === 'v7')
          run('ip', [
            'link',
            'add',
            'link',
            machine.linkOf('evil'),
            'name',
            'hv7',
            'up',
            'type',
            'vlan',
            'id',
            '7',
          ])
        await expect
          .poll(async () => {
            await evil.say('10.88.0.1', 7000, 'spoofed', VICTIM)
            return host.heard()
          })
          .toContain(`spoofed ${VICTIM}`)
      },
    )

  it('hides nobody behind itself: a namespace of its own within reaches no more than it', async () => {
    const policy: Policy = { egress: { default: 'deny', allow: [{ cidr: '192.0.2.2/32', ports: [80] }] } }
    const { evil } = await start(policy)
    const outside = await machine.peer('outside')
    for (const port of [80, 443]) await outside.serve('tcp', port, 'outside')
    const nested = machine.netnsOf('nested')
    createNetns(nested)
    onTestFinished(() => removeNetns(nested))
    inside('ip', 'link', 'add', 'veth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', nested)
    inside('ip', 'addr', 'add', '10.200.0.1/24', 'dev', 'veth0')
    inside('ip', 'link', 'set', 'veth0', 'up')
    writeSysctl('net/ipv4/ip_forward', 1, machine.netnsOf('evil'))
    inside(
      'nft',
      'add table ip t; add chain ip t c { type nat hook postrouting priority 100; }; add rule ip t c masquerade',
    )
    const within: Inside = (...command) => run('nsenter', [`--net=${nested}`, ...command])
    within('ip', 'addr', 'add', '10.200.0.2/24', 'dev', 'eth0')
    within('ip', 'link', 'set', 'eth0', 'up')
    within('ip', 'route', 'add', 'default', 'via', '10.200.0.1')
    const hidden = await machine.peerIn(nested)
    expect(await hidden.ask('tcp', '192.0.2.2', 80)).toMatch(/^outside/)
    expect(await hidden.ask('tcp', '192.0.2.2', 443, { timeout: 1000 })).toMatch(/^(EHOSTUNREACH|timeout)$/)
    expect(await evil.ask('tcp', '192.0.2.2', 443, { timeout: 10_000 })).toBe('EHOSTUNREACH')
    await machine.again('evil')
    expect(await hidden.ask('tcp', '192.0.2.2', 443)).toMatch(/^outside/)
  })
})
