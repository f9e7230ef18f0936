import { isIP } from 'node:net'
import { once } from '@podwire/api'
import * as z from 'zod/mini'
import { parseJson } from './parse-json.ts'
import { keyNameOf, type PodSubnets, parseKeyName, subnetsOf } from './pod-subnets.ts'
import { canonicalAddress, isWithin, parseSubnet } from './range.ts'

/** What a node tells the others of one of its pods. */
export interface SharedPod {
  readonly namespace: string
  readonly name: string
  /** All of them of the node's subnets; at least one. */
  readonly addresses: readonly string[]
  readonly annotations: Readonly<Record<string, string>>
}

/** Where a pod's record is, below `PREFIX/pods/`. */
export interface PodPlace {
  /** The node's, by the name of its lease's key. */
  readonly node: string
  readonly subnets: PodSubnets
  readonly namespace: string
  readonly name: string
}

/** Of a record. Bytes: annotations are for selectors, not for what is large. */
export const mostRecordBytes = 4_096
const mostAddresses = 16

const label = '[a-z0-9](?:[a-z0-9-]*[a-z0-9])?'
const namespacePattern = new RegExp(`^${label}$`)
const namePattern = new RegExp(`^${label}(?:\\.${label})*$`)

const schema = once(() =>
  z.object({
    addresses: z.array(z.string().check(z.maxLength(45))).check(z.minLength(1), z.maxLength(mostAddresses)),
    annotations: z._default(z.record(z.string(), z.string()), {}),
  }),
)

/** `10.244.3.0-24/default/web`: the last part of a record's key. */
export const podKeyNameOf = (
  subnets: PodSubnets,
  { namespace, name }: Pick<SharedPod, 'namespace' | 'name'>,
) => `${keyNameOf(subnets)}/${namespace}/${name}`

/** Undefined for what names no node's pod. */
export function parsePodKeyName(keyName: string): PodPlace | undefined {
  const [node = '', namespace = '', name = '', ...rest] = keyName.split('/')
  const subnets = parseKeyName(node)
  // One spelling for each node: what is under another one is nobody's.
  if (!subnets || keyNameOf(subnets) !== node || rest.length > 0) return undefined
  const isRight =
    namespace.length <= 63 && namespacePattern.test(namespace) && name.length <= 253 && namePattern.test(name)
  return isRight ? { node, subnets, namespace, name } : undefined
}

/** Reads a record, which anybody may have written. A string says what is wrong with it. */
export function parsePodRecord({ subnets, namespace, name }: PodPlace, value: string): SharedPod | string {
  if (Buffer.byteLength(value) > mostRecordBytes)
    return `it has ${Buffer.byteLength(value)} bytes, and ${mostRecordBytes} are the most`
  const parsed = parseJson(schema(), value)
  if (typeof parsed === 'string') return parsed
  const { addresses, annotations } = parsed.data
  const strange = addresses.find((address) => !isAddressOf(subnets, address))
  if (strange !== undefined)
    return `${JSON.stringify(strange)} is not an address of its node, which has ${keyNameOf(subnets)}`
  return { namespace, name, addresses: [...new Set(addresses.map(canonicalAddress))], annotations }
}

/** Whether it is an address of one of the subnets. */
export function isAddressOf(subnets: PodSubnets, address: string): boolean {
  const family = isIP(address)
  if (family === 0 || address.includes('%')) return false
  const one = parseSubnet(`${address}/${family === 4 ? 32 : 128}`)
  return one !== undefined && subnetsOf(subnets).some((subnet) => isWithin(one, subnet))
}

/** The value of a record; annotations that would make it too large are left out, all of them. */
export function formatPodRecord({ addresses, annotations }: SharedPod): { value: string; isCut: boolean } {
  const own = addresses.slice(0, mostAddresses)
  const value = JSON.stringify({
    addresses: own,
    ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
  })
  if (Buffer.byteLength(value) <= mostRecordBytes) return { value, isCut: own.length < addresses.length }
  return { value: JSON.stringify({ addresses: own }), isCut: true }
}
