import { expect, it } from 'vitest'
import { forwarding, links } from '../../src/index.ts'
import { describeIsolated, useSandbox } from '../sandbox.ts'

describeIsolated('forwarding entries', () => {
  const box = useSandbox()
  const mac = '0a:00:00:00:00:07'
  const shown = () =>
    box
      .run('bridge fdb show dev vx')
      .split('\n')
      .filter((line) => line.startsWith('0a:'))

  it.each(['192.0.2.7', '2001:db8::7'])(
    'lead frames for a MAC address to %s, as bridge shows',
    (destination) => {
      const local = destination.includes(':') ? '2001:db8::1' : '192.0.2.1'
      box.netlink.runSync(
        links.add({
          kind: 'vxlan',
          name: 'vx',
          index: 60,
          vni: 7,
          port: 8472,
          local,
          learning: false,
          up: true,
        }),
      )
      const entry = { dev: 'vx', lladdr: mac, destination }
      box.netlink.runSync(forwarding.add(entry))
      expect(shown()).toEqual([expect.stringMatching(new RegExp(`${mac} dst ${destination} .*permanent`))])
      expect(box.netlink.runSync(forwarding.list({ dev: 'vx' }))).toEqual([
        { dev: 60, lladdr: mac, destination, permanent: true },
      ])
      expect(box.netlink.runSync(forwarding.list()).map(({ lladdr }) => lladdr)).toContain(mac)
      const other = destination.replace(/7$/, '8')
      box.netlink.runSync(forwarding.replace({ ...entry, destination: other }))
      expect(shown()).toEqual([expect.stringContaining(other)])
      expect(() => box.netlink.runSync(forwarding.add({ ...entry, destination: other }))).toThrow('EEXIST')
      box.netlink.runSync(forwarding.del({ ...entry, destination: other }))
      expect(shown()).toEqual([])
      expect(() => box.netlink.runSync(forwarding.del({ ...entry, destination: other }))).toThrow('ENOENT')
    },
  )
})
