import type { DaemonOptions } from '@podwire/daemon'
import { afterThis, startTestDaemon as startDaemonOf } from '../../daemon/test/daemon.ts'
import { connectNetworkHost } from '../src/index.ts'

export { afterThis, configured, until } from '../../daemon/test/daemon.ts'

/** A daemon in this process, with a plugin of the test's own, and a host over its socket. */
export async function startTestDaemon(
  methods = '',
  config: object = {},
  options: Partial<DaemonOptions> = {},
) {
  const made = await startDaemonOf(methods, config, options)
  const host = await connectNetworkHost({ socket: made.daemon.socket, log: made.log })
  afterThis(() => host.close())
  return { ...made, host }
}
