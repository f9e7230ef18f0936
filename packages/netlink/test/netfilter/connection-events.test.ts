import { execFileSync } from 'node:child_process'
import { expect, it } from 'vitest'
import {
  type ConnectionEvent,
  conntrack,
  NETLINK_NETFILTER,
  openNetlink,
  watchConnections,
  withNetns,
  writeSysctl,
} from '../../src/index.ts'
import { describeIsolated, useSandbox } from '../sandbox.ts'

describeIsolated('watching connections', () => {
  const box = useSandbox()
  const trackAll = () => {
    box.run('nft add table inet t')
    box.run('nft add chain inet t c { type filter hook output priority 0 ; }')
    box.run('nft add rule inet t c ct state new accept')
  }
  const inside = (file: string, args: string[]) => withNetns(box.path, () => execFileSync(file, args))
  const send = (port: number, text = 'x') =>
    inside('bash', ['-c', `printf ${text} > /dev/udp/127.0.0.1/${port}`])

  it('tells which begin and end, with what was sent by them', async () => {
    trackAll()
    writeSysctl('net/netfilter/nf_conntrack_acct', 1, box.path)
    using netlink = openNetlink({ netns: box.path, protocol: NETLINK_NETFILTER })
    const controller = new AbortController()
    const events = watchConnections(netlink, { signal: controller.signal })
    send(5301, 'twelve-bytes')
    const { value: began } = await events.next()
    expect(began).toMatchObject({
      event: 'began',
      connection: {
        family: 'inet',
        original: { destination: '127.0.0.1', protocol: 17, destinationPort: 5301 },
      },
    })
    await conntrack.flush(netlink, { port: 5301 })
    const { value: ended } = await events.next()
    // IPv4's header and UDP's are 28 bytes.
    const original = { packets: 1, bytes: 40 }
    expect(ended).toMatchObject({
      event: 'ended',
      connection: {
        original: { destinationPort: 5301 },
        traffic: { original, reply: { packets: 0, bytes: 0 } },
      },
    })
    controller.abort()
    expect(await events.next()).toMatchObject({ done: true })
  })

  it('says once that some were lost, and goes on', async () => {
    trackAll()
    using netlink = openNetlink({ netns: box.path, protocol: NETLINK_NETFILTER })
    const events = watchConnections(netlink)
    const flood = `const { createSocket } = require('node:dgram'); const s = createSocket('udp4');
      let sent = 0; for (let port = 10000; port < 22000; port++) s.send('x', port, '127.0.0.1', () => ++sent === 12000 && s.close())`
    inside(process.execPath, ['-e', flood])
    const seen: ConnectionEvent['event'][] = []
    const next = async () => {
      const { value } = await events.next()
      seen.push(value.event)
      return value.connection?.original.destinationPort
    }
    // What waited is read; then it hears what happens again.
    while (!seen.includes('lost') || seen.length < 1000) await next()
    let port = 5302
    const sending = setInterval(() => send(port++), 100)
    for (let heard: number | undefined; !heard || heard >= 10_000; ) heard = await next()
    clearInterval(sending)
    expect(seen.filter((event) => event === 'lost').length).toBeLessThan(20)
    await events.return?.()
  })
})
