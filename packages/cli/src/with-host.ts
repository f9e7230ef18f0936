import { createNetworkHost, type NetworkHost, type NetworkHostOptions } from '@podwire/core'
import { loadConfiguration } from './configuration.ts'
import type { GlobalFlags } from './flags.ts'
import { stderrLogger } from './stderr-logger.ts'

/** Runs `use` with a host made as the flags say, and closes it whatever happens. */
export async function withHost<T>(flags: GlobalFlags, use: (host: NetworkHost) => Promise<T>): Promise<T> {
  const host = await createNetworkHost(await hostOptions(flags))
  try {
    return await use(host)
  } finally {
    await host.close()
  }
}

/** A host's options, as the flags say. */
export async function hostOptions(flags: GlobalFlags) {
  const config = await loadConfiguration(flags)
  return { config, log: stderrLogger(flags.verbose ?? false) } satisfies NetworkHostOptions
}
