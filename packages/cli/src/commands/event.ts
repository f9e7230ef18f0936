import { NET_PLUGIN_EVENT_POD_CIDR_CHANGE } from '@podwire/api'
import { command, type DefineCommand } from '../command.ts'
import { type GlobalFlags, parseKeyValue } from '../flags.ts'
import { withHost } from '../host.ts'
import { print, printNote } from '../output.ts'

const define: DefineCommand = (does) =>
  command(
    'event',
    'send an event to the plugin, and print what it reports of it',
    `podwire event ${NET_PLUGIN_EVENT_POD_CIDR_CHANGE} pod-cidr=10.89.0.0/16`,
  )
    .argument('<name>', 'pod-cidr-change, repair …')
    .argument('[details...]', 'KEY=VALUE')
    .action(does(event))
export default define

async function event(name: string, details: string[], flags: GlobalFlags): Promise<void> {
  const parsed = Object.fromEntries(details.map((text) => parseKeyValue('event', text)))
  await withHost(flags, async (host, { networkPlugin }) => {
    let isReported = false
    host.events.on('plugin:report', ({ plugin, event: reported, details: about }) => {
      isReported = true
      print(`${plugin}: ${reported} ${JSON.stringify(about)}`)
    })
    await host.event(name, parsed)
    // A plugin passes over what it doesn't know, and says nothing: only this event is everybody's.
    if (isReported || name === NET_PLUGIN_EVENT_POD_CIDR_CHANGE) return
    printNote(
      `network plugin "${networkPlugin}" reported nothing of "${name}": it may not know this event. The one that every plugin knows is ${NET_PLUGIN_EVENT_POD_CIDR_CHANGE}`,
    )
  })
}
