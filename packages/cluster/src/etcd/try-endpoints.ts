import { isPodwireError } from '@podwire/api'
import { type EndpointFailure, errors } from '../errors.ts'
import { reasonOf } from './connection.ts'

/**
 * Tries one endpoint after the other, beginning with one of them, until one answers. What etcd refuses it refuses everywhere.
 * @throws PodwireError `ETCD_UNREACHABLE` with the reason of each
 */
export async function tryEndpoints<E extends { readonly endpoint: string }, T>(
  endpoints: readonly E[],
  first: number,
  operation: string,
  work: (endpoint: E) => Promise<T>,
): Promise<{ readonly result: T; readonly at: number }> {
  const failures: EndpointFailure[] = []
  for (let tried = 0; tried < endpoints.length; tried++) {
    const at = (first + tried) % endpoints.length
    const one = endpoints[at]! // within the array
    try {
      return { result: await work(one), at }
    } catch (error) {
      if (isPodwireError(error)) throw error
      failures.push({ endpoint: one.endpoint, reason: reasonOf(error) })
    }
  }
  throw errors.ETCD_UNREACHABLE({ operation, failures })
}
