import type { NetworkHost } from '@podwire/core'
import { installation, loadConfiguration, loadLenient } from './configuration.ts'
import type { GlobalFlags } from './flags.ts'
import { logEvents, stderrLogger } from './logger.ts'
import { knowOperations } from './process-guard.ts'

/** How a command uses a host. */
export interface HostUse {
  /** Works with a broken configuration too, and starts its plugin only when that is needed. Default: false. */
  readonly lenient?: boolean
  /** Take down at the start what earlier processes left half done. Default: true; false: only look. */
  readonly recover?: boolean
  /** Whether the process stays as long as the pods that it sets up. Default: true. */
  readonly resident?: boolean
}

/**
 * Runs `use` with a host made as the flags say, and closes it whatever happens.
 * @param use gets what is wrong with the configuration besides, where `lenient` went on without it
 */
export async function withHost<T>(
  flags: GlobalFlags,
  use: (host: NetworkHost, problem: Error | undefined) => Promise<T>,
  { lenient = false, recover = true, resident = true }: HostUse = {},
): Promise<T> {
  const { createNetworkHost, currentOperation } = await import('@podwire/core')
  knowOperations(currentOperation)
  const { configuration, problem } = lenient
    ? await loadLenient(flags)
    : { configuration: await loadConfiguration(flags), problem: undefined }
  const log = stderrLogger(flags.verbose ?? false)
  const host = await createNetworkHost({
    config: configuration,
    installation: installation(),
    log,
    recover,
    resident,
    start: !lenient,
    listen: (events) => logEvents(events, log),
  })
  try {
    return await use(host, problem)
  } finally {
    await host.close()
  }
}
