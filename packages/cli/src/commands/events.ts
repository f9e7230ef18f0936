import { errorFromJson, messageOf } from '@podwire/api'
import type { StreamedEvent } from '@podwire/client'
import { command, type DefineCommand } from '../command.ts'
import { daemonSocket } from '../daemon-host.ts'
import type { GlobalFlags, JsonFlag } from '../flags.ts'
import { print, printJson } from '../output.ts'
import { interrupted } from '../signals.ts'

type Flags = GlobalFlags & JsonFlag & { follow?: boolean }

const define: DefineCommand = (does) =>
  command(
    'events',
    'print what has happened lately in the daemon, and with --follow what happens',
    'podwire events --follow --json',
  )
    .option('-f, --follow', 'go on with what happens from now on, until interrupted')
    .option('--json', 'print a line of JSON for each')
    .action(does(events))
export default define

/** Goes on when the daemon is started anew; to be interrupted is its end. */
async function events({ follow = false, json = false, ...flags }: Flags): Promise<void> {
  const { assertSocketTrusted, streamEvents } = await import('@podwire/client')
  const socket = await daemonSocket(flags)
  assertSocketTrusted(socket)
  const stream = streamEvents(socket, { fromStart: true, untilNow: !follow, signal: interrupted })
  for await (const event of stream) {
    if (event.event === 'open') continue
    if (json) printJson(event)
    else print(line(event))
  }
}

function line({ at, event, payload }: StreamedEvent): string {
  const { plugin, pod, error, ...rest } = asObject(payload)
  const { namespace, name } = asObject(pod)
  const about = [plugin, pod && `${namespace}/${name}`].filter((one) => one !== undefined)
  const why = error === undefined ? [] : [messageOf(errorFromJson(error))]
  const more = Object.keys(rest).length > 0 ? [JSON.stringify(rest)] : []
  return [at, event, ...about, ...why, ...more].join('  ')
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}
