import { isIP } from 'node:net'
import { DEFAULT_INTERFACE_NAME, messageOf, parseCIDR } from '@podwire/api'
import { errors } from './errors.ts'

/** Names further networks for a pod. Source: the Network Plumbing Working Group's specification, version 1. */
export const NETWORKS_ANNOTATION = 'k8s.v1.cni.cncf.io/networks'

/** One further network of a pod. */
export interface NetworkSelection {
  /** The name in a network configuration. */
  readonly name: string
  /** Given, or `net1`, `net2` … by its place in the list. */
  readonly ifName: string
  /** Capability arguments that this attachment asks for itself. */
  readonly capabilityArgs: Readonly<Record<string, unknown>>
  /** Handed to each plugin as `args.cni`. */
  readonly cniArgs: Readonly<Record<string, unknown>> | undefined
}

type Json = Readonly<Record<string, unknown>>
type Problem = (problem: string) => Error

/**
 * The networks that an annotation names: the short form `[NAMESPACE/]NAME[@IFNAME],…`, or a JSON list of objects.
 * Networks have no namespaces here: one that is given is ignored.
 * @throws PodwireError `CNI_BAD_NETWORKS_ANNOTATION`
 */
export function parseNetworksAnnotation(value: string | undefined): NetworkSelection[] {
  if (value === undefined || value.trim() === '') return []
  const problem: Problem = (text) => errors.CNI_BAD_NETWORKS_ANNOTATION({ value, problem: text })
  const selections = /^\s*[[{"]/.test(value) ? parseJsonForm(value, problem) : parseShortForm(value, problem)
  rejectDoubleNames(selections, problem)
  return selections
}

function parseShortForm(value: string, problem: Problem): NetworkSelection[] {
  return value.split(',').map((item, index) => {
    const [, name, ifName] = /^(?:[^/@\s]+\/)?([^/@\s]+)(?:@([^/@\s]+))?$/.exec(item.trim()) ?? []
    if (name === undefined) throw problem(`"${item.trim()}" is not [NAMESPACE/]NAME[@IFNAME]`)
    return {
      name,
      ifName: interfaceName(ifName, index, problem),
      capabilityArgs: {},
      cniArgs: undefined,
    }
  })
}

function parseJsonForm(value: string, problem: Problem): NetworkSelection[] {
  let json: unknown
  try {
    json = JSON.parse(value)
  } catch (error) {
    throw problem(`it is not JSON (${messageOf(error)})`)
  }
  if (!Array.isArray(json)) throw problem('expected a list')
  return json.map((item: unknown, index) => parseSelection(item, index, problem))
}

// Each key that a selection may hold besides name, namespace and interface, and the capability it is an argument of.
const capabilityOf = {
  ips: 'ips',
  mac: 'mac',
  bandwidth: 'bandwidth',
  portMappings: 'portMappings',
  'infiniband-guid': 'infinibandGUID',
} as const

const checks: Record<keyof typeof capabilityOf, { expected: string; holds: (value: unknown) => boolean }> = {
  ips: { expected: 'a list of addresses', holds: (value) => isListOf(value, isAddress) },
  mac: { expected: 'a MAC address', holds: isMac },
  bandwidth: { expected: 'an object of rates', holds: isBandwidth },
  portMappings: { expected: 'a list of port mappings', holds: (value) => isListOf(value, isRecord) },
  'infiniband-guid': { expected: 'a GUID', holds: (value) => typeof value === 'string' },
}

function parseSelection(item: unknown, index: number, problem: Problem): NetworkSelection {
  const at = `item ${index + 1}`
  if (!isRecord(item)) throw problem(`${at}: expected an object`)
  const { name, namespace: _, interface: ifName, 'cni-args': cniArgs, ...rest } = item
  if (typeof name !== 'string' || name === '') throw problem(`${at}: expected a name`)
  if (ifName !== undefined && typeof ifName !== 'string') throw problem(`${at}: interface: expected a string`)
  if (cniArgs !== undefined && !isRecord(cniArgs)) throw problem(`${at}: cni-args: expected an object`)
  const capabilityArgs: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(rest)) {
    // A default route through another network would take the pod's away from the plugin that gave it.
    if (!isCapabilityKey(key)) throw problem(`${at}: ${key} is not supported`)
    if (!checks[key].holds(value)) throw problem(`${at}: ${key}: expected ${checks[key].expected}`)
    capabilityArgs[capabilityOf[key]] = value
  }
  return {
    name,
    ifName: interfaceName(ifName, index, problem),
    capabilityArgs,
    cniArgs,
  }
}

function interfaceName(given: string | undefined, index: number, problem: Problem): string {
  const name = given ?? `net${index + 1}`
  if (!/^[^/:\s]{1,15}$/.test(name) || name === '.' || name === '..') {
    throw problem(`"${name}" can't name an interface: use 1 to 15 characters without "/", ":" and spaces`)
  }
  return name
}

function rejectDoubleNames(selections: readonly NetworkSelection[], problem: Problem): void {
  const taken = new Set(['lo', DEFAULT_INTERFACE_NAME])
  for (const { ifName } of selections) {
    if (taken.has(ifName)) throw problem(`interface "${ifName}" is taken: give each network another`)
    taken.add(ifName)
  }
}

function isCapabilityKey(key: string): key is keyof typeof capabilityOf {
  return Object.hasOwn(capabilityOf, key)
}

function isRecord(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isListOf(value: unknown, holds: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(holds)
}

function isAddress(value: unknown): boolean {
  return typeof value === 'string' && (isIP(value) !== 0 || parseCIDR(value) !== undefined)
}

function isMac(value: unknown): boolean {
  return typeof value === 'string' && /^(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}$/i.test(value)
}

function isBandwidth(value: unknown): boolean {
  return isRecord(value) && Object.values(value).every((rate) => Number.isSafeInteger(rate))
}
