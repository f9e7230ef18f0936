import type { KeyValue } from '../etcd/answers.ts'
import { type NodeValue, parseNodeValue } from '../layout/lease-value.ts'
import { type PodSubnets, parseKeyName } from '../layout/pod-subnets.ts'

/** A lease or a reservation, as it is in etcd. */
export interface LeaseEntry {
  readonly key: string
  readonly subnets: PodSubnets
  readonly modRevision: number
  /** The id of etcd's lease; undefined: a reservation, which has no end. */
  readonly lease?: string
  /** Undefined where what is written there can't be a node's: its addresses are taken all the same. */
  readonly node?: NodeValue
}

/** Reads a key of `PREFIX/subnets/`. Undefined where its name is not of subnets. */
export function readEntry(
  { key, value, modRevision, lease }: KeyValue,
  prefix: string,
): LeaseEntry | undefined {
  const subnets = key.startsWith(prefix) ? parseKeyName(key.slice(prefix.length)) : undefined
  if (!subnets) return undefined
  const node = parseNodeValue(value)
  return {
    key,
    subnets,
    modRevision,
    ...(lease === undefined ? {} : { lease }),
    ...(node === undefined ? {} : { node }),
  }
}
