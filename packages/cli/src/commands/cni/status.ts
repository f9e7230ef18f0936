import { dirname } from 'node:path'
import { isPodwireError, messageOf } from '@podwire/api'
import type { Command } from 'commander'
import { type FoundNetwork, listNetworks } from '../../cni/networks.ts'
import { PLUGIN_TYPE, type PlaceFlags, placeDefaults, placesOf } from '../../cni/places.ts'
import { installedShim, ownShim, socketOfShim } from '../../cni/shim-file.ts'
import { command, type Does } from '../../command.ts'
import { daemonSocket } from '../../daemon-host.ts'
import type { GlobalFlags, JsonFlag } from '../../flags.ts'
import { print, printJson, printTable } from '../../output.ts'
import { withPlaceFlags } from './install.ts'

export function statusCommand(does: Does): Command {
  return withPlaceFlags(
    command(
      'status',
      'say who would give a pod its network now: the networks that runtimes find, the daemon, and its answer',
      'podwire cni status --conf-dir /etc/cni/net.d',
    ),
  )
    .option('--json', 'print JSON')
    .action(does(status))
}

interface CniStatus {
  /** In the order in which runtimes look at them. */
  readonly networks: readonly FoundNetwork[]
  /** The name of the first one that is good. */
  readonly answers: string | undefined
  readonly shim: {
    readonly path: string
    readonly state: 'missing' | 'not ours' | 'current' | 'another version'
  }
  readonly daemon: { readonly socket: string; readonly problem?: string }
  /** What the executable answered; where there is none of ours, nothing is asked. */
  readonly ready: { readonly ready: boolean; readonly code?: number; readonly reason?: string }
}

/** Exits with 1 where a pod would not get its network from here. */
async function status({ json = false, ...flags }: GlobalFlags & PlaceFlags & JsonFlag): Promise<number> {
  const found = await look(flags)
  const { networks, answers, shim, daemon, ready } = found
  const first = networks.find(({ name }) => name === answers && answers !== undefined)
  const isOurs = first?.isOurs === true && ready.ready
  if (json) printJson(found)
  else {
    if (networks.length > 0)
      printTable([
        ['FILE', 'NETWORK', 'PLUGINS', 'OURS', ''],
        ...networks.map(({ file, name, plugins, isOurs: ours, problem }) => [
          file,
          name || '-',
          plugins.join(' ') || '-',
          ours ? 'yes' : 'no',
          problem ?? (file === first?.file ? 'answers' : ''),
        ]),
      ])
    else print('no network is configured: runtimes wait for one')
    print(`executable  ${shim.path}: ${shim.state}`)
    print(`daemon      ${daemon.socket}: ${daemon.problem ?? 'answers'}`)
    print(
      `status      ${ready.ready ? 'ready' : `${ready.code === undefined ? '' : `${ready.code}: `}${ready.reason}`}`,
    )
  }
  return isOurs ? 0 : 1
}

async function look(flags: GlobalFlags & PlaceFlags): Promise<CniStatus> {
  const places = placesOf(flags)
  const networks = await listNetworks(places.confDir)
  const answers = networks.find(({ problem }) => problem === undefined)?.name
  const installed = installedShim(places.shim, (await ownShim()).content)
  const socket = socketOfShim(places.shim) ?? (await daemonSocket(flags))
  const state =
    installed === undefined
      ? 'missing'
      : installed.owner === 'other'
        ? 'not ours'
        : installed.isCurrent
          ? 'current'
          : 'another version'
  const problem = await daemonProblem(socket)
  return {
    networks,
    answers,
    shim: { path: places.shim, state },
    daemon: { socket, ...(problem === undefined ? {} : { problem }) },
    ready:
      installed?.owner === 'ours'
        ? await askStatus(places.shim, flags.name ?? placeDefaults.name)
        : {
            ready: false,
            reason: `${places.shim} is ${state}${installed ? '' : ': write it with podwire cni install, or say with --bin-dir where it is'}`,
          },
  }
}

async function daemonProblem(socket: string): Promise<string | undefined> {
  const { connectNetworkHost } = await import('@podwire/client')
  try {
    await (await connectNetworkHost({ socket })).close()
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}

/** As a runtime asks. */
async function askStatus(shim: string, name: string): Promise<CniStatus['ready']> {
  const { createCni, isCniError, parseNetworkConfigList } = await import('@podwire/libcni')
  const cni = createCni({ pluginDirectories: [dirname(shim)] })
  const network = { cniVersion: '1.1.0', name, plugins: [{ type: PLUGIN_TYPE }] }
  try {
    // Runtimes have no more patience with it.
    await cni.status(parseNetworkConfigList(JSON.stringify(network)), { deadlineMs: 10_000 })
    return { ready: true }
  } catch (error) {
    const code = isCniError(error) ? error.cniCode : undefined
    const reason =
      isPodwireError(error) && typeof error.details['msg'] === 'string'
        ? error.details['msg']
        : messageOf(error)
    return { ready: false, ...(code === undefined ? {} : { code }), reason }
  }
}
