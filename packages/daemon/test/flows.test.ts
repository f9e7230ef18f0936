import { connect } from 'node:net'
import { isIsolated } from '@podwire/testing'
import { beforeEach, describe, expect, test } from 'vitest'
import { afterThis, startTestDaemon, until } from './daemon.ts'

/** What the plugin of this test keeps for it. */
const kept = globalThis as unknown as {
  wanted: boolean[]
  /** What it waits for before it begins. */
  slowly?: Promise<void> | undefined
  report(event: string, details: object): void
}

const pod = { namespace: 'default', name: 'web', sandboxId: 's' }
const flow = { pod, direction: 'egress', protocol: 'tcp', address: '192.0.2.1', port: 443, count: 2 }
const denied = { ...flow, rule: 'deny[3]', first: '2026-01-01T00:00:00Z', last: '2026-01-01T00:00:00Z' }

/** Reports a connection that is open to whoever begins to ask. */
const plugin = `
  init: async (host) => { globalThis.report = host.report },
  event: async (name, { wanted }) => {
    if (name !== 'flows-wanted') return
    globalThis.wanted.push(wanted)
    await globalThis.slowly
    if (wanted) globalThis.report('flow:allowed', ${JSON.stringify(flow)})
  },`

const eventsIn = (text: string) => [...text.matchAll(/^event: (\S+)$/gm)].map(([, event = '']) => event)

describe.skipIf(!isIsolated())('the flows of a daemon', () => {
  beforeEach(() => {
    kept.wanted = []
    kept.slowly = undefined
  })

  async function start() {
    const started = await startTestDaemon(plugin)
    const follow = async (path: string) => {
      const socket = connect(started.daemon.socket)
      afterThis(() => socket.destroy())
      let text = ''
      socket.on('data', (chunk) => (text += chunk))
      socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`)
      await until(() => text.includes('event: open'))
      return { socket, text: () => text }
    }
    return { ...started, follow }
  }

  test('are watched while somebody asks for allowed ones, and those that are open are told first', async () => {
    const { follow, ask } = await start()
    const one = await follow('/v1/flows')
    expect(kept.wanted).toEqual([true])
    await until(() => eventsIn(one.text()).includes('flow:allowed'))
    const other = await follow('/v1/flows')
    const closed = {
      ...flow,
      durationMs: 5,
      sent: { bytes: 1, packets: 1 },
      received: { bytes: 2, packets: 1 },
    }
    kept.report('flow:closed', closed)
    kept.report('flow:denied', denied)
    kept.report('flow:lost', {})
    await until(() => eventsIn(other.text()).length === 4)
    expect(eventsIn(other.text())).toEqual(['open', 'flow:closed', 'flow:denied', 'flow:lost'])
    expect(one.text()).toContain(`"payload":{"plugin":"odd",${JSON.stringify(closed).slice(1)}}`)
    one.socket.destroy()
    other.socket.destroy()
    await until(() => kept.wanted.length === 2)
    expect(kept.wanted).toEqual([true, false])
    // They leave room to all else that happens.
    expect(eventsIn((await ask('GET', '/v1/events?from=start&until=now')).text)).toEqual([
      'open',
      'plugin:ready',
      'flow:denied',
    ])
    expect(eventsIn((await ask('GET', '/v1/flows?from=start&until=now')).text)).toEqual([
      ...['open', 'flow:closed', 'flow:denied', 'flow:lost', 'flow:allowed'],
    ])
    await until(() => kept.wanted.length === 4)
    // What is open is told once, however often somebody asked; what began while somebody watched is told again.
    const watcher = await follow('/v1/flows')
    kept.report('flow:allowed', { ...flow, start: '2026-01-01T00:00:00Z' })
    for (let times = 0; times < 2; times++)
      expect(eventsIn((await ask('GET', '/v1/flows?from=start&until=now')).text)).toEqual([
        ...['open', 'flow:closed', 'flow:denied', 'flow:lost', 'flow:allowed', 'flow:allowed'],
      ])
    watcher.socket.destroy()
    await until(() => kept.wanted.length === 6)
    expect((await ask('GET', '/v1/flows?from=start&until=now')).text.match(/"start"/g)).toHaveLength(1)
  })

  test('are told by no more streams than may be open, however many ask before the first is', async () => {
    const { daemon, ask } = await start()
    let begin = () => {}
    kept.slowly = new Promise((resolve) => {
      begin = resolve
    })
    const answers = Array.from({ length: 300 }, () => {
      const socket = connect(daemon.socket)
      afterThis(() => socket.destroy())
      let text = ''
      socket.on('data', (chunk) => (text += chunk))
      socket.write('GET /v1/flows HTTP/1.1\r\nhost: x\r\n\r\n')
      return () => text
    })
    await until(() => kept.wanted.length === 1 && answers.some((text) => text() !== ''))
    expect((await ask('GET', '/v1/events?until=now')).body.error.code).toBe('TOO_MANY_STREAMS')
    begin()
    await until(() => answers.every((text) => text() !== ''))
    expect(answers.filter((text) => text().includes('event: open'))).toHaveLength(250)
  })

  test('that were denied are told without anything being watched', async () => {
    const { ask } = await start()
    kept.report('flow:denied', denied)
    const { text } = await ask('GET', '/v1/flows?from=start&until=now&only=denied')
    expect(eventsIn(text)).toEqual(['open', 'flow:denied'])
    expect(kept.wanted).toEqual([])
    expect(await ask('GET', '/v1/flows?only=allowed')).toMatchObject({ status: 400 })
  })

  test('are watched still after the configuration changed', async () => {
    const { follow, configure, daemon, ask } = await start()
    const one = await follow('/v1/flows')
    configure({ mtu: 1400 })
    await daemon.reload()
    expect(kept.wanted).toEqual([true, false, true])
    kept.report('flow:lost', {})
    await until(() => eventsIn(one.text()).includes('flow:lost'))
    // What the plugin told of what is open before it began anew is told again, and not twice to who comes then.
    expect(eventsIn((await ask('GET', '/v1/flows?from=start&until=now')).text)).toEqual([
      ...['open', 'flow:allowed', 'flow:lost'],
    ])
  })

  test('that were denied are counted, in no more series than there are kinds', async () => {
    const { ask } = await start()
    kept.report('flow:denied', denied)
    kept.report('flow:denied', { ...denied, rule: 'deny[4]', address: '192.0.2.2' })
    for (let protocol = 0; protocol < 50; protocol++)
      kept.report('flow:denied', { ...denied, protocol: String(protocol), rule: `mine-${protocol}` })
    const { text } = await ask('GET', '/metrics')
    const lines = text.split('\n').filter((line) => line.startsWith('podwire_flows_denied_total{'))
    expect(lines).toEqual([
      'podwire_flows_denied_total{plugin="odd",direction="egress",protocol="tcp",rule="deny"} 4',
      'podwire_flows_denied_total{plugin="odd",direction="egress",protocol="other",rule="other"} 100',
    ])
  })
})
