import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { isPodwireError } from '@podwire/api'
import type { RemoteNetworkHost } from '@podwire/client'
import { type LoadConfiguration, loadConfiguration, stateDirNamedIn } from './configuration.ts'
import type { GlobalFlags } from './flags.ts'
import { stderrLogger } from './logger.ts'

/**
 * The host of the daemon that runs for the state directory of the flags or the configuration; undefined where none does,
 * or none is wanted.
 * @throws PodwireError with `--daemon` where none runs; where one runs that can't be trusted or used
 */
export async function connectDaemon(
  flags: GlobalFlags,
  load: LoadConfiguration,
): Promise<RemoteNetworkHost | undefined> {
  const isWanted = flags.daemon
  if (isWanted === false) return undefined
  const found = daemonSocket(flags, load)
  const socket = await (isWanted ? found : found.catch(() => undefined))
  // Whoever may not look into the directory, or has no configuration, hears of that from a host in process.
  if (socket === undefined || (!isWanted && !existsSync(socket))) return undefined
  const { connectNetworkHost } = await import('@podwire/client')
  try {
    return await connectNetworkHost({ socket, log: stderrLogger(flags.verbose ?? false) })
  } catch (error) {
    // The socket of one that was killed.
    if (!isWanted && isPodwireError(error) && error.code === 'DAEMON_NOT_RUNNING') return undefined
    throw error
  }
}

/**
 * The path of the socket of the state directory that the flags or the configuration name.
 * @throws PodwireError about the configuration, where it doesn't even say that
 */
export async function daemonSocket(
  flags: GlobalFlags,
  load: LoadConfiguration = () => loadConfiguration(flags),
): Promise<string> {
  const { socketOf } = await import('@podwire/client')
  return socketOf(await stateDirOf(flags, load))
}

async function stateDirOf(flags: GlobalFlags, load: LoadConfiguration): Promise<string> {
  if (flags.stateDir !== undefined) return resolve(flags.stateDir)
  try {
    return (await load()).config.stateDir
  } catch (problem) {
    // A daemon that runs has its own configuration, and what else is wrong with this one is no matter to it.
    const named = isPodwireError(problem) ? stateDirNamedIn(problem) : undefined
    if (named === undefined) throw problem
    return named
  }
}
