import type { Logger } from '@podwire/api'
import type { AddressKind } from './addresses.ts'

/** What a pod may do with a name: ask for it, not ask for it, or hear addresses that the host knows itself. */
export type Decision = 'allow' | 'refuse' | { readonly addresses: readonly string[] }

export interface AdmittedAddress {
  readonly address: string
  /** Seconds for which the pod may connect to it: for as long as it may keep the answer, and a minute. */
  readonly ttl: number
}

/** What was kept from a pod. */
export type Refusal = {
  readonly source: string
  readonly name: string
  /** The number that DNS has for it: 1 is A, 28 is AAAA. */
  readonly type: number
} & (
  | { readonly reason: 'name' }
  /** The pod asks for too much; told once in a second. */
  | { readonly reason: 'limit' }
  /** The name leads to an address that is not the internet's. */
  | { readonly reason: 'address'; readonly address: string; readonly kind: AddressKind }
)

/** What the resolver asks of its user, and tells. */
export interface ResolverHooks {
  /** @param name in lower case, A-labels, no dot at its end; `.` for the root */
  decide(source: string, name: string): Decision
  /**
   * Called for each answer with addresses of an allowed name, from the cache or not; the answer leaves when it resolves. Where it
   * rejects, or takes over two seconds, the pod gets a failure. Who has the addresses in place already returns at once.
   * @param name the one asked for, wherever its CNAMEs led
   */
  admit(source: string, name: string, addresses: readonly AdmittedAddress[]): Promise<void>
  /** Whether an address that is loopback's, private, link-local or the like may be told to the pod. By default none. */
  permits?(source: string, address: string): boolean
  onRefused?(refusal: Refusal): void
  readonly log: Logger
}
