import { recordingLogger } from '@podwire/testing'
import { onTestFinished } from 'vitest'
import {
  type AdmittedAddress,
  createResolver,
  type Refusal,
  type Resolver,
  type ResolverOptions,
} from '../../../src/policy/names/resolver.ts'
import { startUpstream, type Upstream } from './upstream.ts'

export interface Started extends Resolver {
  readonly upstream: Upstream
  /** What was admitted: `127.0.0.1 example.org 93.184.216.34`. */
  readonly admitted: string[]
  readonly ttls: number[]
  readonly refusals: Refusal[]
}

/** A resolver and its upstream, both ended with the test. Allowed is all that ends in `.org`, for everyone. */
export async function startResolver(
  answer: Upstream['answer'],
  options: Partial<ResolverOptions> = {},
): Promise<Started> {
  const upstream = await startUpstream(answer)
  const [admitted, ttls, refusals]: [string[], number[], Refusal[]] = [[], [], []]
  const resolver = await createResolver({
    listen: { addresses: ['127.0.0.1'], port: 0 },
    decide: (_, name) => (name.endsWith('.org') ? 'allow' : 'refuse'),
    async admit(source: string, name: string, addresses: readonly AdmittedAddress[]) {
      for (const { address, ttl } of addresses) {
        admitted.push(`${source} ${name} ${address}`)
        ttls.push(ttl)
      }
    },
    onRefused: (refusal) => refusals.push(refusal),
    log: recordingLogger(),
    ...options,
    upstreams: { servers: [upstream.server], search: [], ...options.upstreams },
  })
  onTestFinished(async () => {
    await resolver.close()
    await upstream.close()
  })
  return { ...resolver, upstream, admitted, ttls, refusals }
}
