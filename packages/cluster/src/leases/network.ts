import { errors } from '../errors.ts'
import type { Etcd } from '../etcd/client.ts'
import type { Keys } from '../layout/keys.ts'
import {
  type ClusterNetwork,
  formatNetwork,
  type NewNetwork,
  parseNetwork,
  withoutSecrets,
} from '../layout/network.ts'

/**
 * The network that all nodes share.
 * @throws PodwireError `NETWORK_UNSET`, `NETWORK_INVALID`
 */
export async function readNetwork(
  etcd: Etcd,
  keys: Keys,
): Promise<{ network: ClusterNetwork; value: string }> {
  const entry = await etcd.get(keys.config)
  if (!entry) throw errors.NETWORK_UNSET({ key: keys.config })
  const network = parseNetwork(entry.value)
  if (typeof network === 'string') throw errors.NETWORK_INVALID({ key: keys.config, problem: network })
  return { network, value: entry.value }
}

/**
 * Writes the network, once for all nodes. The same again is the same.
 * @throws PodwireError `NETWORK_EXISTS` where there is another one, unless it is forced; `NETWORK_REFUSED`
 */
export async function writeNetwork(
  etcd: Etcd,
  keys: Keys,
  network: NewNetwork,
  { force = false }: { force?: boolean } = {},
): Promise<void> {
  const value = formatNetwork(network)
  const problem = parseNetwork(value)
  if (typeof problem === 'string') throw errors.NETWORK_REFUSED({ problem })
  const { succeeded, found } = await etcd.transaction(
    force ? [] : [{ key: keys.config, modRevision: 0 }],
    [{ put: keys.config, value }],
    [{ get: keys.config }],
  )
  const [there] = found
  if (!succeeded && there && there.value !== value)
    throw errors.NETWORK_EXISTS({ key: keys.config, value: withoutSecrets(there.value) })
}
