import { type AllowedFlow, type ClosedFlow, type DeniedFlow, podKey } from '@podwire/api'
import type { StreamedEvent } from '@podwire/client'
import { command, type DefineCommand } from '../command.ts'
import { daemonSocket } from '../daemon-host.ts'
import { deniedText } from '../denied-report.ts'
import { errors } from '../errors.ts'
import { type GlobalFlags, type JsonFlag, parsePodName } from '../flags.ts'
import { print, printJson } from '../output.ts'
import { peerText } from '../peer.ts'
import { trafficText } from '../reached-report.ts'
import { interrupted } from '../signals.ts'

type Flags = GlobalFlags & JsonFlag & { follow?: boolean; denied?: boolean }

const define: DefineCommand = (does) =>
  command(
    'flows',
    'print what pods of the daemon were denied lately, what they have open, and what they reached while somebody asked',
    'podwire flows default/web --follow',
  )
    .argument('[pod]', 'NAMESPACE/NAME; default: all')
    .option('-f, --follow', 'go on with what happens from now on, until interrupted')
    .option('--denied', 'only what policies denied; nothing else is watched for it')
    .option('--json', 'print a line of JSON for each')
    .action(does(flows))
export default define

/** What was allowed is known from when somebody began to ask, and of connections that are open. */
async function flows(name: string | undefined, flags: Flags): Promise<void> {
  const { follow = false, denied = false, json = false, ...global } = flags
  const wanted = name === undefined ? undefined : parsePodName(name)
  const { assertSocketTrusted, connectNetworkHost, streamEvents } = await import('@podwire/client')
  const socket = await daemonSocket(global)
  assertSocketTrusted(socket)
  const of = denied ? 'denied' : 'flows'
  const stream = streamEvents(socket, { of, fromStart: true, untilNow: !follow, signal: interrupted })
  let isKnown = wanted === undefined || follow
  for await (const told of stream) {
    if (told.event === 'open' || (denied && told.event.startsWith('flow:') && told.event !== 'flow:denied'))
      continue
    const flow = flowOf(told)
    if (wanted && flow && (flow.pod.namespace !== wanted.namespace || flow.pod.name !== wanted.name)) continue
    isKnown = true
    if (json) printJson(told)
    else print(line(told))
  }
  if (isKnown || !wanted) return
  const host = await connectNetworkHost({ socket })
  try {
    if (!(await host.pod(wanted))) throw errors.NO_FLOWS_OF_POD({ pod: podKey(wanted) })
  } finally {
    await host.close()
  }
}

type Flow = (AllowedFlow & Partial<ClosedFlow>) | DeniedFlow

/** Undefined for what says that some are missing. The daemon made it, from the event of that name. */
function flowOf({ event, payload }: StreamedEvent): Flow | undefined {
  return event === 'flow:lost' || event === 'events:dropped' ? undefined : (payload as Flow)
}

function line(told: StreamedEvent): string {
  const flow = flowOf(told)
  if (!flow) return `${told.at}  lost     there were more than could be told`
  const { namespace, name } = flow.pod
  const isOpenAlready = told.event === 'flow:allowed' && !('start' in flow)
  const what = (isOpenAlready ? 'open' : told.event.replace('flow:', '')).padEnd(7)
  const times = flow.count === 1 ? '' : `, ${flow.count} times`
  const end = 'rule' in flow ? deniedText(flow).what : peerText(flow)
  return `${told.at}  ${what}  ${namespace}/${name}  ${end}${times}${more(flow)}`
}

function more(flow: Flow): string {
  if ('rule' in flow) return `, by ${flow.rule}${deniedText(flow).why}`
  const { durationMs, sent, received } = flow
  const duration = durationMs === undefined ? '' : `, ${(durationMs / 1000).toFixed(1)} s`
  return `${trafficText(sent, received)}${duration}`
}
