import { type GlobalFlags, parseKeyValue } from '../flags.ts'
import { withHost } from '../with-host.ts'

/** `podwire event` */
export async function event(name: string, details: string[], flags: GlobalFlags): Promise<void> {
  const parsed = Object.fromEntries(details.map((text) => parseKeyValue('event', text)))
  await withHost(flags, async (host) => {
    host.events.on('plugin:report', ({ plugin, event: reported, details: about }) => {
      console.log(`${plugin}: ${reported} ${JSON.stringify(about)}`)
    })
    await host.event(name, parsed)
  })
}
