import { parsePodCIDR } from '@podwire/api'
import { contains, parseCidr } from '../ipam/cidr.ts'

/** A pod of another node, as policies and names see it. */
export interface KnownPeer {
  readonly namespace: string
  readonly name: string
  readonly annotations: Readonly<Record<string, string>>
  readonly addresses: readonly { readonly address: string }[]
  /** Its name leads to another one. */
  readonly isNamesake?: true
}

export interface KnownNode {
  readonly podCIDR: string
  readonly pods: readonly KnownPeer[]
}

export interface KnownChange {
  readonly all?: readonly string[]
  readonly changed: readonly KnownNode[]
}

/** What a host told of other nodes' pods, or what is remembered of that. @throws Error that names what is wrong */
export function parsePeerPodsChange(details: Readonly<Record<string, unknown>>): KnownChange {
  const { all, changed } = details
  return {
    ...(all === undefined ? {} : { all: listOf(all, 'all').map((one) => podCidrOf(one)) }),
    changed: listOf(changed, 'changed').map(parsePeerNode),
  }
}

export function parsePeerNode(value: unknown): KnownNode {
  const { podCIDR, pods } = objectOf(value, 'changed')
  const own = podCidrOf(podCIDR)
  const ranges = own.split(',').flatMap((part) => parseCidr(part) ?? [])
  return {
    podCIDR: own,
    pods: listOf(pods, 'pods').map((pod) => {
      const { namespace, name, addresses, annotations, isNamesake } = objectOf(pod, 'pods')
      return {
        namespace: textOf(namespace, 'namespace'),
        name: textOf(name, 'name'),
        annotations: Object.fromEntries(
          Object.entries(objectOf(annotations, 'annotations')).map(([key, text]) => [
            key,
            textOf(text, 'annotations'),
          ]),
        ),
        addresses: listOf(addresses, 'addresses').map((one) => {
          const address = textOf(one, 'addresses')
          if (!ranges.some((range) => contains(range, address)))
            throw new Error(`${JSON.stringify(address)} is not an address of ${own}`)
          return { address }
        }),
        ...(isNamesake === true ? { isNamesake } : {}),
      }
    }),
  }
}

function podCidrOf(value: unknown): string {
  const text = textOf(value, 'podCIDR')
  if (parsePodCIDR(text) === undefined) throw new Error(`${JSON.stringify(text)} is not a pod CIDR`)
  return text
}

function listOf(value: unknown, field: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error(`${field} is not a list`)
  return value
}

function objectOf(value: unknown, field: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`${field} is not an object`)
  return value as Readonly<Record<string, unknown>> // an object that is not an array has fields of whatever type
}

function textOf(value: unknown, field: string): string {
  if (typeof value !== 'string') throw new Error(`${field} is not text`)
  return value
}
