import { resolve } from 'node:path'
import { createNetworkHost, type NetworkHost } from '@podwire/core'
import type { GlobalFlags } from './flags.ts'
import { stderrLogger } from './stderr-logger.ts'

/** Runs `use` with a host made as the flags say, and closes it whatever happens. */
export async function withHost<T>(
  flags: GlobalFlags,
  use: (host: NetworkHost) => Promise<T>,
  { recover = true }: { recover?: boolean } = {},
): Promise<T> {
  const host = await createNetworkHost({ ...hostOptions(flags), recover })
  try {
    return await use(host)
  } finally {
    await host.close()
  }
}

/** A host's options, as the flags say. */
export function hostOptions({ config, stateDir, verbose = false }: GlobalFlags) {
  return {
    log: stderrLogger(verbose),
    ...(config === undefined ? {} : { configFile: config }),
    ...(stateDir === undefined ? {} : { stateDir: resolve(stateDir) }),
  }
}
