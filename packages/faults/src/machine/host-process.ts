// A process with a network host in it, which does what it is told by messages: one at a time or many at once.
import { isPodwireError, type Logger, messageOf } from '@podwire/api'
import { createNetworkHost, type NetworkHost, type PodRequest } from '@podwire/core'
import type { Answer, Call, HostSettings } from './calls.ts'

let host: NetworkHost | undefined
const silent: Logger = { debug() {}, info() {}, warn: tell, error: tell }

process.on('message', (message) => void answer(message as Call)) // calls.ts is what the parent sends
process.on('disconnect', () => process.exit())
process.send?.({ id: 0 } satisfies Answer)

async function answer(call: Call): Promise<void> {
  try {
    await carryOut(call)
    process.send?.({ id: call.id } satisfies Answer)
  } catch (error) {
    process.send?.({
      id: call.id,
      error: { message: messageOf(error), code: codeOf(error) },
    } satisfies Answer)
  }
}

/** The code of the innermost error of ours: the plugin's, where the core wrapped it. */
function codeOf(error: unknown): string {
  const cause = error instanceof Error && error.cause ? codeOf(error.cause) : ''
  return cause || (isPodwireError(error) ? error.code : '')
}

async function carryOut({ method, argument }: Call): Promise<unknown> {
  if (method === 'open') {
    await host?.close()
    host = undefined
    host = await open(argument)
    return
  }
  if (!host) throw new Error('no host is open')
  if (method === 'setUp') return host.setUpPod(argument as PodRequest) // as the parent sent it
  if (method === 'tearDown') return host.tearDownPod(argument)
  if (method === 'check') return host.checkPod(argument)
  if (method === 'repair') return told(await host.repair())
  if (method === 'prune') return told(await host.prune())
  if (method === 'collectGarbage') return host.collectGarbage()
  await host.close()
  host = undefined
}

/** What it could not do for one of the pods is an error here. */
function told(results: readonly { failed?: string }[]): void {
  const failed = results.flatMap((result) => result.failed ?? [])
  if (failed.length > 0) throw new Error(failed.join('; '))
}

function open({ stateDir, datapath, bridge, podCIDR, kubenet }: HostSettings): Promise<NetworkHost> {
  return createNetworkHost({
    cwd: '/',
    log: silent,
    installation: { included: [kubenet], from: '/' },
    config: {
      networkPlugin: 'kubenet',
      stateDir,
      podCIDR,
      plugins: { kubenet: { datapath, bridge, repairInterval: 0 } },
    },
  })
}

function tell(message: string): void {
  process.send?.({ id: -1, note: message } satisfies Answer)
}
