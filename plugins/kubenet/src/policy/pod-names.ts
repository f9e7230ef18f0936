import { type PodRef, podKey } from '@podwire/api'
import { addressToNumber, familyOf } from '../ipam/cidr.ts'
import type { PodRecord } from '../pod-record.ts'
import type { CompiledSide, Group } from './compile.ts'
import type { PodOfRules } from './pod-sets.ts'
import { isSelected } from './selectors.ts'

export type PodName = Pick<PodRef, 'namespace' | 'name'>

/** Pods by the names that others ask for: `web.default.pod` is the pod `default/web`. */
export interface PodNames {
  /** The addresses of the pod of this name that a policy lets somebody reach, by whatever port. */
  addressesFor(egress: CompiledSide, named: PodName): readonly string[]
  /** The name of a pod that was asked for, while the pod has the address. */
  nameOf(asked: PodName | undefined, address: string): string | undefined
}

export interface PodNamesContext {
  /** The pod of this node that has these names. */
  podNamed(namespace: string, name: string): PodRecord | undefined
  /** The pod of this node that has an address. */
  podAt(address: string): PodRecord | undefined
  /** The pod of another node that has these names. */
  peerNamed(namespace: string, name: string): PodOfRules | undefined
}

const POD_SUFFIX = '.pod'

/** Undefined for a name that is not a pod's. */
export function podNameOf(name: string): PodName | undefined {
  if (!name.endsWith(POD_SUFFIX)) return undefined
  const own = name.slice(0, -POD_SUFFIX.length)
  const at = own.lastIndexOf('.')
  return { namespace: own.slice(at + 1), name: own.slice(0, Math.max(at, 0)) }
}

export function createPodNames({ podNamed, podAt, peerNamed }: PodNamesContext): PodNames {
  return {
    addressesFor(egress, { namespace, name }) {
      // A pod of this node first: nothing that others say takes its name from it.
      const pod: PodOfRules | undefined = podNamed(namespace, name) ?? peerNamed(namespace, name)
      if (!pod) return []
      const isIn = (groups: readonly Group[]) => groups.some(({ pods }) => isSelected(pods, pod))
      if (isIn(egress.deny)) return []
      const own = pod.addresses.map(({ address }) => address)
      return isIn(egress.allow) ? own : own.filter((address) => isAllowed(egress, address))
    },
    nameOf(asked, address) {
      if (!asked) return undefined
      const { namespace, name } = asked
      const own = podAt(address)
      const isStill = own
        ? podKey(own) === podKey(asked)
        : peerNamed(namespace, name)?.addresses.some((one) => one.address === address)
      return isStill ? `${name}.${namespace}${POD_SUFFIX}` : undefined
    },
  }
}

/** Whether a rule of addresses allows this one, by whatever port. */
export function isAllowed({ boxes }: CompiledSide, address: string): boolean {
  const family = familyOf(address)
  if (!family) return false
  const value = addressToNumber(address)
  return boxes[family].some(({ first, last }) => first <= value && value <= last)
}
